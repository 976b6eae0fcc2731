"""What a depot holds, read from its store on disk and not through any client."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backhaul.depot import Place
from backhaul.depot.artifact import Artifact
from backhaul.depot.manifests import Manifests
from backhaul.depot.model import EVENTS, HISTORY, OUTPUT, Run
from backhaul.depot.store.interface import SETTLED_AFTER
from backhaul.depot.store.sql_store import SqlStore
from backhaul.depot.sweep import Sweep

ENTITY = "tester"


@dataclass(frozen=True)
class Held:
    """One run as the depot holds it: numbered lines per stream, files by name with their bytes.

    `manifests` are those of its artifacts, by their number in the depot.
    """

    run: Run
    history: dict[int, str]
    events: dict[int, str]
    output: dict[int, str]
    files: dict[str, bytes]
    alerts: int
    logged: list[Artifact]
    manifests: dict[int, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """History in the order of its line numbers, parsed; fails if a number is missing."""
        assert list(self.history) == list(range(len(self.history)))
        return [json.loads(line) for line in self.history.values()]

    @property
    def summary(self) -> Any:
        """The summary, parsed."""
        return json.loads(self.run.summary)

    @property
    def config(self) -> Any:
        """The config, parsed."""
        return json.loads(self.run.config)

    @property
    def console(self) -> list[str]:
        """Console lines without their time stamp (`[ERROR ]time text`, as a client of today sends them)."""
        return [_without_time(line) for line in self.output.values()]

    @property
    def counts(self) -> dict[str, int]:
        """Lines per stream, by the names of `--json`."""
        return {"history": len(self.history), "events": len(self.events), "output": len(self.output)}


def held(place: Path | Place, project: str, run_id: str, entity: str = ENTITY) -> Held:
    """What the depot over `place` holds of a run. Fails when there is none."""
    found = held_or_none(place, project, run_id, entity)
    assert found is not None, f"the depot has no run {entity}/{project}/{run_id}"
    return found


def held_or_none(place: Path | Place, project: str, run_id: str, entity: str = ENTITY) -> Held | None:
    """What the depot over `place` holds of a run, or None."""
    with _store(place) as store:
        run = store.run(entity, project, run_id)
        if run is None:
            return None
        streams = [dict(store.lines(run.id, stream)) for stream in (HISTORY, EVENTS, OUTPUT)]
        blobs = _place(place).open_blobs()
        files = {file.name: blobs.read(file.blob) for file in store.files(run.id)}
        alerts = store._database.read(
            lambda c: c.execute("SELECT count(*) FROM alerts WHERE run_id = ?", (run.id,)).fetchone()[0]
        )
        logged = store.artifacts.logged(run.id)
        manifests = {}
        for artifact in logged:
            manifest = store.artifacts.current_manifest(artifact.id)
            if manifest is not None and manifest.blob is not None:
                manifests[artifact.id] = json.loads(blobs.read(manifest.blob))
        return Held(run, *streams, files, alerts, logged, manifests)


def delete(data: Path, project: str, run_id: str, entity: str = ENTITY) -> None:
    """Delete a run, as a user does on a server's page."""
    with _store(data) as store:
        run = store.run(entity, project, run_id)
        assert run is not None
        store.delete_run(run.id)


def truncate(data: Path, project: str, run_id: str, lines: int, entity: str = ENTITY) -> None:
    """Let the depot forget all history lines from number `lines` on, as one restored from a backup."""
    with _store(data) as store:
        run = store.run(entity, project, run_id)
        assert run is not None
        store.truncate(run.id, HISTORY, lines)


def sweep(place: Path | Place) -> None:
    """Let an hour pass for all bytes that lie there, and the depot's sweep look twice, as it does then."""
    for path in (_place(place).data / "blobs").rglob("*"):
        os.utime(path, (time.time() - SETTLED_AFTER - 1,) * 2)
    with _store(place) as store:
        blobs = _place(place).open_blobs()
        sweep = Sweep(store, blobs, Manifests(blobs), time.time)
        for _ in range(2):
            sweep.tick(whole=True)


@contextmanager
def _store(place: Path | Place) -> Iterator[SqlStore]:
    with closing(SqlStore(_place(place).open_database())) as store:
        yield store


def _place(place: Path | Place) -> Place:
    return place if isinstance(place, Place) else Place(place)


def _without_time(line: str) -> str:
    if line.startswith("{"):
        parsed = json.loads(line)
        return ("ERROR " if parsed.get("level") == "error" else "") + str(parsed["content"])
    error = "ERROR " if line.startswith("ERROR ") else ""
    return error + line.removeprefix("ERROR ").partition(" ")[2]
