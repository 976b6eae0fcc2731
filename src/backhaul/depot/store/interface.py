"""The interface between the depot and what it keeps its runs in.

Every method that changes something returns only when the change is durable; a method that raises changed nothing.
All methods may be called from any thread. Unknown ids raise `Refused` (404).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol

from backhaul.depot.model import (
    BatchRef,
    Blob,
    Delivery,
    LineCounts,
    Project,
    Run,
    RunEdit,
    StoredFile,
)


class Store(Protocol):
    """Projects, runs, their streams of lines, and the names of their files."""

    def make_project(self, entity: str, name: str) -> Project:
        """The project of that name, made if it is new."""

    def project(self, entity: str, name: str) -> Project | None:
        """The project of that name, or None."""

    def projects(self, entity: str | None = None) -> list[Project]:
        """All projects (of one entity, when given), newest first."""

    def open_run(self, entity: str, project: str, name: str, edit: RunEdit) -> tuple[Run, bool]:
        """The run of that id with `edit` applied and its state running, and whether it is new.

        The project is made on first use. The id of a deleted run is refused with 409.
        """

    def edit_run(self, run_id: int, edit: RunEdit) -> Run:
        """The run with `edit` applied; its state changes only if `edit` says so."""

    def delete_run(self, run_id: int) -> None:
        """Removes a run with its lines and files; its name stays taken."""

    def run(self, entity: str, project: str, name: str) -> Run | None:
        """The run of that id, or None when there is none or it was deleted."""

    def runs(self, project_id: int | None = None, limit: int | None = None) -> list[Run]:
        """The runs of a project (or of all), newest first, at most `limit`."""

    def deliver(self, run_id: int, delivery: Delivery) -> None:
        """Stores one `file_stream` request: a line written again replaces the line of that number.

        The run becomes running, or what `complete` and `preempting` say.
        """

    def line_counts(self, run_id: int) -> LineCounts:
        """How far the streams of the run reach."""

    def truncate(self, run_id: int, stream: str, end: int) -> None:
        """Forgets the lines of a stream from number `end` on."""

    def batches(self, run_id: int, stream: str) -> list[BatchRef]:
        """The batches of a stream in the order of their lines; they never overlap, and may leave holes."""

    def batch_lines(self, batch_id: int) -> list[str] | None:
        """The lines of a batch, or None when it was replaced in the meantime."""

    def lines(self, run_id: int, stream: str, first: int = 0, end: int | None = None) -> Iterator[tuple[int, str]]:
        """The lines from number `first` to before `end`, each with its number, holes left out."""

    def put_file(self, run_id: int, name: str, blob: Blob) -> str | None:
        """Makes `blob` the content of the run's file; returns the name of the blob that it replaced."""

    def file(self, run_id: int, name: str) -> StoredFile | None:
        """The run's file of that name, or None."""

    def files(self, run_id: int) -> list[StoredFile]:
        """The run's files by name."""

    def delete_files(self, run_id: int, names: list[str]) -> list[str]:
        """Forgets those files; returns the names of their blobs."""

    def add_alert(self, run_id: int, title: str, text: str, severity: str) -> None:
        """Keeps an alert that the run raised."""

    def close(self) -> None:
        """Ends all work; what was acknowledged stays."""


class Blobs(Protocol):
    """The bytes of files, each under a name that the store alone chooses."""

    async def receive(self, chunks: AsyncIterator[bytes], accept: Callable[[Blob], None]) -> Blob:
        """Takes in a body; it is whole and durable when this returns, and leaves nothing behind when it raises.

        `accept` sees size and MD5 before the blob exists, and refuses it by raising.
        """

    def path(self, name: str) -> Path:
        """Where the blob's bytes can be read."""

    def remove(self, name: str) -> None:
        """Removes a blob that nothing names any more; one that is gone already is fine."""


Clock = Callable[[], float]
