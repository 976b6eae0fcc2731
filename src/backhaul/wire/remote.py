"""What a server is told and what it tells: the values that the wire takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Viewer:
    """The account that an API key belongs to; `entity` is its default entity."""

    entity: str
    username: str
    email: str


@dataclass(frozen=True)
class RunUpsert:
    """A run to create or to change; None leaves a value as the server has it.

    `config` is the whole configuration as JSON text; `storage_id` is what the server gave the run at the first upsert.
    """

    run_id: str
    project: str | None = None
    entity: str | None = None
    config: str | None = None
    display_name: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] | None = None
    group: str | None = None
    job_type: str | None = None
    program: str | None = None
    host: str | None = None
    commit: str | None = None
    repo: str | None = None
    sweep: str | None = None
    storage_id: str | None = None

    def variables(self) -> dict[str, object]:
        """The variables of `UpsertBucket`, all of them present as the official client sends them."""
        return {
            "id": self.storage_id,
            "name": self.run_id,
            "project": self.project,
            "entity": self.entity,
            "groupName": self.group,
            "description": None,
            "displayName": self.display_name,
            "notes": self.notes,
            "commit": self.commit,
            "config": self.config,
            "host": self.host,
            "debug": None,
            "program": self.program,
            "repo": self.repo,
            "jobType": self.job_type,
            "state": None,
            "sweep": self.sweep,
            "tags": None if self.tags is None else list(self.tags),
            "summaryMetrics": None,
        }


@dataclass(frozen=True)
class RunAddress:
    """Where a run is on the server, in the server's own spelling.

    `history_line_count` is the number of history lines that were there then.
    """

    entity: str
    project: str
    run_id: str
    storage_id: str = ""
    display_name: str = ""
    history_line_count: int = 0

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.run_id}"


@dataclass(frozen=True)
class RemoteFile:
    """A file that the server holds: size in bytes, MD5 in base64 as sent (None if the server does not say)."""

    name: str
    size: int
    md5: str | None


@dataclass(frozen=True)
class ConsoleLine:
    """A console line as a server shows it: its number, when it was begun (ISO 8601, UTC; may be empty), its text."""

    number: int
    time: str
    text: str


@dataclass(frozen=True)
class ConsoleTail:
    """How many console lines a server has of a run, and the last of them in their order."""

    total: int
    lines: tuple[ConsoleLine, ...]


@dataclass(frozen=True)
class RunStatus:
    """What the server holds of a run: numbers of lines, last lines, texts (`summary`, `config`: JSON), files.

    `started` is false for a run that was created but never sent a configuration; `state` is `running`, `finished` …
    """

    history_lines: int = 0
    events_lines: int = 0
    output_lines: int = 0
    summary: str = "{}"
    config: str = "{}"
    history_tail: Sequence[str] = ()
    events_tail: Sequence[str] = ()
    display_name: str = ""
    tags: tuple[str, ...] = ()
    notes: str = ""
    started: bool = False
    state: str = ""
    files: tuple[RemoteFile, ...] = ()


@dataclass(frozen=True)
class UploadTarget:
    """Where and with which headers one file is PUT; the URL carries its own permission and is a secret."""

    name: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
