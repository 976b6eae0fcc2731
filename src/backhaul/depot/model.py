"""What the depot keeps, as plain values. Times are seconds since 1970 (UTC); ids are the store's row numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from backhaul.depot.refusal import permission_denied

HISTORY = "wandb-history.jsonl"
EVENTS = "wandb-events.jsonl"
SUMMARY = "wandb-summary.json"
OUTPUT = "output.log"

CRASHED_AFTER = 300.0
"""Seconds without a heartbeat (clients send one every 30 s) after which a running run is shown as crashed."""


class Role(StrEnum):
    """What a user may do: an admin everything; a member reads and writes, a viewer reads, where they belong."""

    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a key. They belong to the entity of their own name and to those of their teams."""

    name: str
    role: Role
    teams: frozenset[str] = frozenset()

    @property
    def admin(self) -> bool:
        """Whether they may do everything."""
        return self.role is Role.ADMIN

    def sees(self, entity: str) -> bool:
        """Whether they may read what belongs to the entity."""
        return self.admin or entity == self.name or entity in self.teams

    def must_write(self, entity: str | None = None) -> None:
        """Returns only for somebody who may change things (of that entity). Refused with 403 otherwise."""
        if self.role is Role.VIEWER or (entity is not None and not self.sees(entity)):
            raise permission_denied()


@dataclass(frozen=True, slots=True)
class Account:
    """A user and the hash of the key that lets them in."""

    user: User
    key_hash: bytes


@dataclass(frozen=True, slots=True)
class Project:
    """A named place for runs, made on first use."""

    id: int
    entity: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """A project in short. `active_at` is the last sign of life of a run; `size` is in bytes, as stored."""

    project: Project
    runs: int
    artifacts: int
    active_at: float
    size: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the store holds it; `name` is the run id, `display_name` what people call it."""

    id: int
    project: Project
    name: str
    display_name: str
    state: str
    config: str
    summary: str
    created_at: float
    updated_at: float
    heartbeat_at: float
    exit_code: int | None = None
    notes: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    group: str | None = None
    job_type: str | None = None
    host: str | None = None
    program: str | None = None
    commit: str | None = None
    repo: str | None = None
    sweep: str | None = None
    user: str | None = None
    stop_requested: int = 0

    def state_at(self, now: float) -> str:
        """The state to show at the time `now`: a silent run is crashed, a silent preempted one preempted."""
        silent = now - self.heartbeat_at > CRASHED_AFTER
        if silent and self.state == "running":
            return "crashed"
        if silent and self.state == "preempting":
            return "preempted"
        return self.state


@dataclass(frozen=True, slots=True)
class RunEdit:
    """What an upsert changes. `None` leaves a value alone; an empty `tags` clears them."""

    display_name: str | None = None
    config: str | None = None
    summary: str | None = None
    notes: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    group: str | None = None
    job_type: str | None = None
    host: str | None = None
    program: str | None = None
    commit: str | None = None
    repo: str | None = None
    sweep: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class LineCounts:
    """How far each stream of a run reaches: the highest line number plus one, holes included."""

    history: int = 0
    events: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Neighbouring lines of one stream, compressed. `first` is the number of its first line."""

    first: int
    count: int
    size: int
    body: bytes

    @property
    def end(self) -> int:
        """The number after that of the last line."""
        return self.first + self.count


@dataclass(frozen=True, slots=True)
class BatchRef:
    """Where a stored batch lies. The same `id` always means the same lines: a batch is replaced, never changed."""

    id: int
    first: int
    count: int
    size: int = 0
    """Bytes of text."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring lines, from `first` to before `stop`, of which facts and columns are kept (see `stretches`)."""

    id: int
    first: int
    stop: int
    lowest_step: int
    highest_step: int


@dataclass(frozen=True, slots=True)
class StretchDraft:
    """A stretch that was made of these batches, with its packed columns by key."""

    first: int
    stop: int
    lowest_step: int
    highest_step: int
    facts: str
    columns: dict[str, bytes]
    batches: list[int]


@dataclass(frozen=True, slots=True)
class Delivery:
    """All that one `file_stream` request brings; it is stored as a whole or not at all.

    `uploaded` are the files that came whole by the client's word; nothing of them is stored. `writer` is the id of the
    process where several write into one run, each with line numbers of its own (see `store.writers`).
    """

    batches: dict[str, list[Batch]] = field(default_factory=dict)
    summary: str | None = None
    complete: bool = False
    exit_code: int | None = None
    preempting: bool = False
    writer: str | None = None
    uploaded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A run's file that arrived whole. `md5` is hexadecimal, `blob` the name of its bytes in the blob store."""

    name: str
    blob: str
    size: int
    md5: str
    updated_at: float


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that arrived whole and are durable. `md5` is hexadecimal."""

    name: str
    size: int
    md5: str


@dataclass(frozen=True, slots=True)
class Brought:
    """What a client wrote to the place of the blobs itself. `modified` is in whole seconds, by the clock there."""

    name: str
    size: int
    etag: str
    modified: int

    @property
    def mark(self) -> str:
        """What tells it from all else that was written there before and after."""
        return f"{self.modified} {self.etag}"


@dataclass(frozen=True, slots=True)
class Awaited:
    """A file of a run that its client may bring to the place of the blobs itself.

    `seen` is the mark of what was found there last; None before the first.
    """

    id: int
    run_id: int
    name: str
    seen: str | None


@dataclass(frozen=True, slots=True)
class Alert:
    """A message to people that a run sent; `severity` is INFO, WARN or ERROR."""

    title: str
    text: str
    severity: str
