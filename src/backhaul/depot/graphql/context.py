"""What resolvers work with, and how one looks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from backhaul.depot.access import seen_by
from backhaul.depot.addresses import Addressed, Signer
from backhaul.depot.artifact import Artifact
from backhaul.depot.assembly import Assembly
from backhaul.depot.digester import Digester
from backhaul.depot.direct import DirectUploads
from backhaul.depot.history import HistoryReader
from backhaul.depot.manifests import Manifests
from backhaul.depot.model import LineCounts, Run, User
from backhaul.depot.noticer import Noticer
from backhaul.depot.run_uploads import RunUploads
from backhaul.depot.selection import Condition, Passing
from backhaul.depot.store import Blobs, Store

Args = Mapping[str, Any]


class TookTooLong(BaseException):
    """A query uses up its time. No `Exception`: the executor would note that one and go on with the next field."""


@dataclass(frozen=True, slots=True)
class Services:
    """What lives as long as the depot."""

    store: Store
    blobs: Blobs
    history: HistoryReader
    digester: Digester
    manifests: Manifests
    signer: Signer
    assembly: Assembly
    direct: DirectUploads | None
    """What comes straight to the store of the blobs; None when it must pass through the depot."""
    run_uploads: RunUploads | None
    """The same for files of runs."""
    noticer: Noticer | None
    entity: str
    clock: Callable[[], float]
    public_url: str | None = None
    """The address under which others reach the depot, where that is not the one at which their requests arrive."""
    max_file_size: int | None = None
    """Bytes; a larger file is refused. None is no bound but the disk."""

    def seen_by(self, user: User) -> Self:
        """The same, with the store as the user may use it."""
        return self if user.admin else replace(self, store=seen_by(self.store, user))

    def look(self, run: Run, names: list[str] | None = None) -> None:
        """Looks what came for the run, or of these files, without passing through the depot."""
        if self.run_uploads:
            self.run_uploads.look(run.id, names)

    def brought(self, run_id: int, names: tuple[str, ...]) -> None:
        """A client says that it has brought these files of a run: they are looked for soon."""
        if self.noticer and names:
            self.noticer.note(run_id, names)


@dataclass(frozen=True, slots=True)
class Context:
    """What one request works with, its store as the user may use it.

    `base` is the address under which the client reached the depot.
    """

    services: Services
    base: str
    user: User
    key_start: str = ""
    """The first characters of the key that the client showed."""
    ends_at: float = math.inf
    """When, on the monotonic clock, the answer must be ready. A change is never stopped half-way, and has no end."""
    selected: dict[int, tuple[Condition, Passing]] = field(default_factory=dict)
    """By project the last condition on its runs and who passes: the SDK asks how many, then for some of them."""

    counted: dict[int, LineCounts] | None = None
    """By run how far its streams reach, as it was when this question first asked; None when it may change something."""

    @property
    def store(self) -> Store:
        """The store."""
        return self.services.store

    @property
    def history(self) -> HistoryReader:
        """The reader of streams."""
        return self.services.history

    @property
    def entity(self) -> str:
        """The entity of a client that names none: the user's own."""
        return self.user.name

    def address(self, method: str, target: Addressed) -> str:
        """A signed address, of the depot or of the store of its blobs.

        Refused with 403 when it would let somebody write who may only read.
        """
        if method != "GET":
            self.user.must_write()
            if address := self.services.direct and self.services.direct.address(target):
                return address
        return self.services.signer.address(self.base, method, target)

    def straight(self, run: Run, names: list[str]) -> dict[str, str]:
        """Addresses for those of the run's files that need not pass through the depot, by name.

        Refused with 403 for somebody who may only read.
        """
        self.user.must_write()
        return self.services.run_uploads.addresses(run.id, names) if self.services.run_uploads else {}

    def settle(self, artifact: Artifact) -> None:
        """Looks what came for the version without passing through the depot."""
        if self.services.direct:
            self.services.direct.settle(artifact)

    def settle_files(self, artifact: Artifact, digests: set[str]) -> bool:
        """The same for its files with these MD5s alone; whether some of them came."""
        return self.services.direct is not None and self.services.direct.settle_files(artifact, digests)

    def check_time(self) -> None:
        """Raises `TookTooLong` when the answer should have been ready."""
        if time.monotonic() > self.ends_at:
            raise TookTooLong

    def asking(self, seconds: float) -> Self:
        """The same for a question, which changes nothing and has so long to be answered."""
        return replace(self, ends_at=time.monotonic() + seconds, counted={})

    def line_counts(self, run: Run) -> LineCounts:
        """How far the run's streams reach: clients ask for each in a field of its own."""
        if self.counted is None:
            return self.store.line_counts(run.id)
        if run.id not in self.counted:
            self.counted[run.id] = self.store.line_counts(run.id)
        return self.counted[run.id]

    def state_of(self, run: Run) -> str:
        """The run's state now."""
        return run.state_at(self.services.clock())


Resolver = Callable[[Any, Context, Args], Any]
Resolvers = dict[str, Resolver]
"""The resolvers of one type by field."""


def text(args: Args, name: str) -> str | None:
    """A string argument; clients send `""` where they mean nothing."""
    value = args.get(name)
    return value if isinstance(value, str) and value else None
