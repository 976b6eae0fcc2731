"""A queue on each of the two databases, under a clock that the test sets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backhaul.unattended.queue.database import Database
from backhaul.unattended.queue.postgresql import PostgresDatabase
from backhaul.unattended.queue.sql_queue import SqlQueue
from backhaul.unattended.queue.sqlite import SqliteDatabase


@dataclass
class Time:
    """Unix seconds that pass when the test says so."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Place:
    """Where a queue is kept; `opened` gives one more connection to it, as another process has it."""

    connect: Callable[[], Database]
    time: Time
    _open: list[SqlQueue] = field(default_factory=list)

    def opened(self) -> SqlQueue:
        self._open.append(SqlQueue(self.connect()))
        return self._open[-1]

    def close(self) -> None:
        for queue in self._open:
            queue.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory: what is durable costs no time there."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, folder: Path, time: Time) -> Iterator[Place]:
    """An empty place: a file, or tables of a real PostgreSQL."""
    if request.param == "sqlite":
        made = Place(lambda: SqliteDatabase(folder / "queue.db", time), time)
    else:
        url = request.getfixturevalue("postgres_url")
        made = Place(lambda: PostgresDatabase(url, time), time)
    yield made
    made.close()


@pytest.fixture
def queue(place: Place) -> SqlQueue:
    return place.opened()
