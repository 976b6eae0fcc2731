"""The forwarder as a program of its own: a depot on one side, a server on the other."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backhaul.depot.keeping import kept_in
from backhaul.depot.place import Place
from backhaul.errors import BackhaulError, ConfigurationError, Interrupted
from backhaul.relay.forwarder import Forwarder
from backhaul.relay.spool import Spool
from backhaul.sync.connection import connected
from backhaul.sync.door import sync
from backhaul.sync.outcome import Outcome
from backhaul.sync.report import Report
from backhaul.sync.target import Target

LOG = logging.getLogger("backhaul.relay")
# How long (seconds) a dead line is tried before the runs are looked at anew; nothing is lost when this is over.
_TRY_FOR = 300.0


@dataclass(frozen=True, slots=True)
class Relay:
    """What is passed on, and where to: from the depot in `place`, whose default entity is `entity`, to `target`."""

    place: Place
    entity: str
    target: Target

    def once(self) -> list[Outcome]:
        """Bring all that is there now; the outcomes of the runs that had changed. Raises BackhaulError."""
        with self._forwarder() as forwarder:
            return forwarder.forward()

    def for_ever(self, every: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """Bring what comes, looking every so many seconds, until a signal ends it.

        A destination that cannot be used is told and tried again. Raises ConfigurationError when nobody could mend it
        without a new start.
        """
        with self._forwarder() as forwarder:
            while True:
                try:
                    forwarder.forward()
                except Interrupted:
                    raise
                except BackhaulError as error:
                    LOG.warning("cannot send", extra={"facts": {"code": error.code, "reason": error.message}})
                sleep(every)

    @contextmanager
    def _forwarder(self) -> Iterator[Forwarder]:
        with connected(self.target) as there:
            key = hashlib.sha256(there.destination.base_url.encode()).hexdigest()[:16]
        try:
            with kept_in(self.place) as kept:
                yield Forwarder(Spool(self.place.data.resolve() / "forward" / key, kept, self.entity), self._send)
        except (OSError, RuntimeError) as error:
            raise ConfigurationError(f"The depot's data in {self.place} cannot be used: {error}.") from error

    def _send(self, paths: Sequence[Path]) -> Report:
        target = self.target
        return sync(
            paths,
            to=target.to,
            entity=target.entity,
            project=target.project,
            timeout=target.timeout,
            bwlimit=target.bwlimit,
            deadline=_TRY_FOR,
        )
