"""Projects, runs, their streams and their files, as the depot asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Protocol

from backhaul.depot.model import (
    BatchRef,
    Blob,
    Delivery,
    LineCounts,
    Project,
    ProjectFacts,
    Run,
    RunEdit,
    StoredFile,
    Stretch,
    StretchDraft,
)
from backhaul.depot.selection import RunPage, Wanted
from backhaul.depot.store.interface.artifacts import Artifacts
from backhaul.depot.store.interface.sweeps import Sweeps


class Store(Protocol):
    """Projects, runs, their streams of lines, and the names of their files."""

    @property
    def artifacts(self) -> Artifacts:
        """The artifacts."""

    @property
    def sweeps(self) -> Sweeps:
        """The sweeps."""

    def make_project(self, entity: str, name: str) -> Project:
        """The project of that name, made if it is new."""

    def project(self, entity: str, name: str) -> Project | None:
        """The project of that name, or None."""

    def projects(self, entity: str | None = None) -> list[Project]:
        """All projects (of one entity, when given), newest first."""

    def project_facts(self) -> list[ProjectFacts]:
        """All projects with how much is in them, in no order."""

    def open_run(
        self, entity: str, project: str, name: str, edit: RunEdit, user: str | None = None
    ) -> tuple[Run, bool]:
        """The run of that id with `edit` applied and its state running, and whether it is new.

        The project is made on first use; a new run is `user`'s. The id of a deleted run is refused with 400.
        """

    def edit_run(self, run_id: int, edit: RunEdit) -> Run:
        """The run with `edit` applied; its state changes only if `edit` says so."""

    def request_stop(self, run_id: int) -> None:
        """Asks the run to stop: its client is told so until the run is opened again."""

    def delete_run(self, run_id: int) -> list[str]:
        """Removes a run with its lines and files; its name stays taken. Returns the names of its files' blobs."""

    def was_deleted(self, entity: str, project: str, name: str) -> bool:
        """Whether there was a run of that id which was deleted."""

    def run(self, entity: str, project: str, name: str) -> Run | None:
        """The run of that id, or None when there is none or it was deleted."""

    def runs(self, project_id: int | None = None, limit: int | None = None) -> list[Run]:
        """The runs of a project (or of all), newest first, at most `limit`."""

    def select(self, project_id: int, wanted: Wanted) -> RunPage | None:
        """A page of the runs that fulfil a condition; None when the store cannot tell which do."""

    def refresh_facets(self) -> bool:
        """Prepares some runs that changed for `select`, which else does it itself; whether some are left."""

    def deliver(self, run_id: int, delivery: Delivery) -> Future[bool]:
        """Begins to store one `file_stream` request: a line written again replaces the line of that number.

        The run becomes running, or what `complete` and `preempting` say. The outcome says whether it should stop.
        """

    def line_counts(self, run_id: int) -> LineCounts:
        """How far the streams of the run reach."""

    def truncate(self, run_id: int, stream: str, end: int) -> None:
        """Forgets the lines of a stream from number `end` on."""

    def inherit(self, run_id: int, parent_id: int, end: int) -> None:
        """Gives a run without history that of its parent up to before line `end`, under numbers below 0."""

    def batches(self, run_id: int, stream: str) -> list[BatchRef]:
        """The batches of a stream in the order of their lines; they never overlap, and may leave holes."""

    def batch_lines(self, batch_id: int) -> list[str] | None:
        """The lines of a batch, or None when it was replaced in the meantime."""

    def stretches(self, run_id: int, stream: str) -> list[Stretch]:
        """The stretches of a stream in the order of their lines; they never overlap, and need not cover all lines."""

    def stretch_facts(self, stretch_id: int) -> str | None:
        """The facts about the keys of a stretch, or None when it is gone."""

    def stretch_column(self, run_id: int, stream: str, key: str) -> dict[int, bytes]:
        """A key's packed columns, by the ids of the stretches that have the key."""

    def put_stretch(self, run_id: int, stream: str, draft: StretchDraft) -> bool:
        """Keeps a stretch; False, and nothing kept, when its lines are no longer those that it was made of."""

    def lines(self, run_id: int, stream: str, first: int = 0, end: int | None = None) -> Iterator[tuple[int, str]]:
        """The lines from number `first` to before `end`, each with its number, holes left out."""

    def put_file(self, run_id: int, name: str, blob: Blob) -> Future[str | None]:
        """Begins to make `blob` the content of the run's file; the outcome is the name of the blob that it replaced."""

    def file(self, run_id: int, name: str) -> StoredFile | None:
        """The run's file of that name, or None."""

    def files(self, run_id: int) -> list[StoredFile]:
        """The run's files by name."""

    def delete_files(self, run_id: int, names: list[str]) -> list[str]:
        """Forgets those files; returns the names of their blobs."""

    def add_alert(self, run_id: int, title: str, text: str, severity: str) -> None:
        """Keeps an alert that the run raised."""
