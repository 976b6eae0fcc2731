"""Looks for the files that clients say they have brought, so that nobody who asks for one has to wait."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection

from backhaul.depot.refusal import Refused
from backhaul.depot.run_uploads import RunUploads

_LOG = logging.getLogger("backhaul.depot")

_MOST = 100_000  # names that wait


class Noticer:
    """A thread that looks at the runs it is told of. Safe to use from any thread.

    What it does not reach, or cannot ask the store for, is looked for by whoever asks, and by the sweep.
    """

    def __init__(self, uploads: RunUploads) -> None:
        self._uploads = uploads
        self._waiting: dict[int, set[str]] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="depot-noticer")
        self._thread.start()

    def note(self, run_id: int, names: Collection[str]) -> None:
        """Files of these names have come."""
        with self._changed:
            if sum(map(len, self._waiting.values())) + len(names) > _MOST:
                return
            self._waiting.setdefault(run_id, set()).update(names)
            self._changed.notify()

    def close(self) -> None:
        """Ends the work."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while (waiting := self._next()) is not None:
            try:
                self._uploads.look(*waiting)
            except (OSError, Refused) as error:
                _LOG.warning("could not look for files", extra={"facts": {"run": waiting[0], "reason": str(error)}})

    def _next(self) -> tuple[int, set[str]] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return None if self._closed else self._waiting.popitem()
