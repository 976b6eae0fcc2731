"""The store in a relational database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future

from backhaul.depot.model import (
    HISTORY,
    Alert,
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
from backhaul.depot.store import (
    facets,
    files,
    lines,
    overview,
    resent,
    runs,
    selecting,
    states,
    streams,
    stretches,
    writers,
)
from backhaul.depot.store.awaited import SqlAwaitedFiles
from backhaul.depot.store.database import Connection, Database
from backhaul.depot.store.interface import Clock
from backhaul.depot.store.sql_artifacts import SqlArtifacts
from backhaul.depot.store.sql_sweeps import SqlSweeps
from backhaul.depot.store.uploads import SqlUploads
from backhaul.depot.store.users import SqlUsers

_RUNS_AT_ONCE = 200  # whose facets are filed in one transaction, while other writes wait


class SqlStore:
    """A `Keeping` in a database, which it closes. The clock comes in from outside."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock
        self._artifacts = SqlArtifacts(self._database, clock)
        self._uploads = SqlUploads(self._database, clock)
        self._awaited = SqlAwaitedFiles(self._database, clock)
        self._sweeps = SqlSweeps(self._database, clock)
        self._users = SqlUsers(self._database, clock)

    @property
    def artifacts(self) -> SqlArtifacts:
        """See `Store`."""
        return self._artifacts

    @property
    def sweeps(self) -> SqlSweeps:
        """See `Store`."""
        return self._sweeps

    @property
    def uploads(self) -> SqlUploads:
        """See `Keeping`."""
        return self._uploads

    @property
    def awaited(self) -> SqlAwaitedFiles:
        """See `Keeping`."""
        return self._awaited

    @property
    def users(self) -> SqlUsers:
        """See `Keeping`."""
        return self._users

    def make_project(self, entity: str, name: str) -> Project:
        """See `Store`."""
        found = self.project(entity, name)
        return found or self._database.write(lambda c: runs.make_project(c, entity, name, self._clock()))

    def project(self, entity: str, name: str) -> Project | None:
        """See `Store`."""
        return self._database.read(lambda c: runs.project(c, entity, name))

    def projects(self, entity: str | None = None) -> list[Project]:
        """See `Store`."""
        return self._database.read(lambda c: runs.projects(c, entity))

    def project_facts(self) -> list[ProjectFacts]:
        """See `Store`."""
        return self._database.read(overview.projects)

    def open_run(
        self, entity: str, project: str, name: str, edit: RunEdit, user: str | None = None
    ) -> tuple[Run, bool]:
        """See `Store`."""

        def work(connection: Connection) -> tuple[Run, bool]:
            now = self._clock()
            home = runs.make_project(connection, entity, project, now)
            run, inserted = runs.open_run(connection, home, name, edit, now, user)
            if not inserted:
                resent.reopened(connection, run.id)
            return run, inserted

        return self._database.write(work)

    def edit_run(self, run_id: int, edit: RunEdit) -> Run:
        """See `Store`."""
        return self._database.write(lambda c: runs.edit(c, run_id, edit, self._clock()))

    def request_stop(self, run_id: int) -> None:
        """See `Store`."""
        self._database.write(lambda c: runs.request_stop(c, run_id))

    def delete_run(self, run_id: int) -> list[str]:
        """See `Store`."""
        return self._database.write(lambda c: runs.delete(c, run_id, self._clock()))

    def was_deleted(self, entity: str, project: str, name: str) -> bool:
        """See `Store`."""
        return self._database.read(lambda c: runs.was_deleted(c, entity, project, name))

    def run(self, entity: str, project: str, name: str) -> Run | None:
        """See `Store`."""
        return self._database.read(lambda c: runs.find(c, entity, project, name))

    def runs(self, project_id: int | None = None, limit: int | None = None) -> list[Run]:
        """See `Store`."""
        return self._database.read(lambda c: runs.every(c, project_id, limit))

    def select(self, project_id: int, wanted: Wanted) -> RunPage | None:
        """See `Store`."""
        if selecting.uses_facets(wanted) and self._database.read(lambda c: facets.are_stale(c, project_id)):
            while self._database.write(lambda c: facets.refresh(c, _RUNS_AT_ONCE, project_id)):
                pass

        def work(connection: Connection) -> RunPage | None:
            try:
                total, ids, passing = selecting.select(connection, project_id, wanted)
            except selecting.CannotTell:
                return None
            return RunPage(total, runs.some(connection, ids), passing)

        return self._database.read(work)

    def refresh_facets(self) -> bool:
        """See `Store`."""
        return self._database.write(lambda c: facets.refresh(c, _RUNS_AT_ONCE))

    def deliver(self, run_id: int, delivery: Delivery) -> Future[bool]:
        """See `Store`."""
        return self._database.begin(lambda c: _deliver(c, run_id, delivery, self._clock()))

    def line_counts(self, run_id: int) -> LineCounts:
        """See `Store`."""
        return self._database.read(lambda c: streams.counts(c, run_id))

    def truncate(self, run_id: int, stream: str, end: int) -> None:
        """See `Store`."""
        self._database.write(lambda c: streams.truncate(c, run_id, stream, end))

    def inherit(self, run_id: int, parent_id: int, end: int) -> None:
        """See `Store`."""
        self._database.write(lambda c: streams.inherit(c, run_id, parent_id, end))

    def batches(self, run_id: int, stream: str = HISTORY) -> list[BatchRef]:
        """See `Store`."""
        return self._database.read(lambda c: streams.refs(c, run_id, stream))

    def batch_lines(self, batch_id: int) -> list[str] | None:
        """See `Store`."""
        body = self._database.read(lambda c: streams.body(c, batch_id))
        return None if body is None else lines.unpack(body)

    def stretches(self, run_id: int, stream: str = HISTORY) -> list[Stretch]:
        """See `Store`."""
        return self._database.read(lambda c: stretches.every(c, run_id, stream))

    def stretch_facts(self, stretch_id: int) -> str | None:
        """See `Store`."""
        return self._database.read(lambda c: stretches.facts(c, stretch_id))

    def stretch_column(self, run_id: int, stream: str, key: str) -> dict[int, bytes]:
        """See `Store`."""
        return self._database.read(lambda c: stretches.column(c, run_id, stream, key))

    def put_stretch(self, run_id: int, stream: str, draft: StretchDraft) -> bool:
        """See `Store`."""
        return self._database.write(lambda c: stretches.put(c, run_id, stream, draft))

    def lines(self, run_id: int, stream: str, first: int = 0, end: int | None = None) -> Iterator[tuple[int, str]]:
        """See `Store`. Batch by batch, so that a long stream needs little memory."""
        for ref in self.batches(run_id, stream):
            if ref.first + ref.count <= first or (end is not None and ref.first >= end):
                continue
            for number, line in enumerate(self.batch_lines(ref.id) or (), ref.first):
                if number >= first and (end is None or number < end):
                    yield number, line

    def put_file(self, run_id: int, name: str, blob: Blob) -> Future[str | None]:
        """See `Store`."""
        return self._database.begin(lambda c: files.put(c, run_id, name, blob, self._clock()))

    def file(self, run_id: int, name: str) -> StoredFile | None:
        """See `Store`."""
        return self._database.read(lambda c: files.find(c, run_id, name))

    def files(self, run_id: int) -> list[StoredFile]:
        """See `Store`."""
        return self._database.read(lambda c: files.every(c, run_id))

    def delete_files(self, run_id: int, names: list[str]) -> list[str]:
        """See `Store`."""
        return self._database.write(lambda c: files.delete(c, run_id, names))

    def add_alert(self, run_id: int, title: str, text: str, severity: str) -> None:
        """See `Store`."""
        row = (run_id, title, text, severity, self._clock())
        self._database.write(
            lambda c: c.execute(
                "INSERT INTO alerts (run_id, title, text, severity, created_at) VALUES (?, ?, ?, ?, ?)", row
            )
        )

    def alerts(self, run_id: int) -> list[Alert]:
        """See `Keeping`."""
        query = "SELECT title, text, severity FROM alerts WHERE run_id = ? ORDER BY id"
        return self._database.read(lambda c: [Alert(*row) for row in c.execute(query, (run_id,))])

    def client_id(self, artifact_id: int) -> str | None:
        """See `Keeping`."""
        query = "SELECT client_id FROM artifacts WHERE id = ?"
        row = self._database.read(lambda c: c.execute(query, (artifact_id,)).fetchone())
        return None if row is None else row[0]

    def named_blobs(self, start: str) -> set[str]:
        """See `Keeping`."""
        return self._database.read(lambda c: files.named_blobs(c, start))

    def redeem(self, ticket: str, expires_at: float) -> bool:
        """See `Keeping`."""
        now = self._clock()

        def work(connection: Connection) -> bool:
            connection.execute("DELETE FROM used_tickets WHERE expires_at < ?", (now,))
            query = "INSERT INTO used_tickets VALUES (?, ?) ON CONFLICT DO NOTHING"
            return connection.execute(query, (ticket, expires_at)).rowcount > 0

        return self._database.write(work)

    def close(self) -> None:
        """See `Keeping`."""
        self._database.close()


def _deliver(connection: Connection, run_id: int, delivery: Delivery, now: float) -> bool:
    run = runs.standing(connection, run_id)  # a run deleted meanwhile takes no more lines
    delivery = writers.arranged(connection, run_id, delivery)
    grows = streams.grows(connection, run_id, delivery.batches)
    state = states.after(run.state, delivery, grows, bool(run.stop_requested))
    for stream, batches in delivery.batches.items():
        if stream == HISTORY and run.reopened_at is not None:
            batches = resent.without_known(connection, run_id, run.reopened_at, batches)
        streams.put(connection, run_id, stream, batches)
    if delivery.summary is not None:
        runs.summarize(connection, run_id, delivery.summary, now)
    changed = delivery.complete or state != run.state
    runs.set_state(connection, run_id, state, delivery.exit_code if changed else run.exit_code, now)
    return bool(run.stop_requested)
