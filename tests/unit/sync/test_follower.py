"""Between two readings of a growing run: when the next one comes, and what the server hears meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backhaul.errors import ConnectionRefused
from backhaul.runs.life import Life
from backhaul.sync.follower import Follower
from backhaul.sync.options import SyncOptions
from backhaul.sync.progress import LogStamp
from backhaul.sync.reporter import Reporter


class _World:
    """A log, a server and a clock; `plan` says what happens at which second."""

    def __init__(self, tmp_path: Path, plan: dict[float, Callable[[_World], None]]) -> None:
        self.log = tmp_path / "run-abc.wandb"
        self.log.write_bytes(b"begun")
        self.now, self.plan = 0.0, plan
        self.alive, self.over, self.away = True, False, False
        self.heard: list[float] = []

    def grow(self) -> None:
        """More is written."""
        self.log.write_bytes(self.log.read_bytes() + b" more")

    async def sleep(self, seconds: float) -> None:
        """Time passes, and what is planned happens."""
        self.now += seconds
        for moment in [moment for moment in self.plan if moment <= self.now]:
            self.plan.pop(moment)(self)

    async def file_stream(self, _: object, body: bytes) -> None:
        """The server hears of the run."""
        assert body == b"{}"
        self.heard.append(self.now)
        if self.away:
            raise ConnectionRefused("nobody there")

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self.over

    def waited(self, worked: float = 0.0, **options: Any) -> float:
        """Follow from now on; the second at which the next reading is due."""
        run = SimpleNamespace(
            directory=SimpleNamespace(log=self.log, path=self.log.parent),
            identity=SimpleNamespace(run_id="abc"),
            size=0,
        )
        delivery = SimpleNamespace(
            passage=SimpleNamespace(run=run, address="e/p/r", server=self, retrier=self),
            stamp=LogStamp.of(self.log),
            life=lambda: Life(self.alive, ""),
        )
        follower = Follower(SyncOptions(self.log.parent, **options), Reporter(), lambda: self.now, self.sleep)
        asyncio.run(follower.wait(cast(Any, delivery), worked))
        return self.now


@pytest.mark.parametrize(
    ("plan", "worked", "due"),
    [
        # Growth is taken up after the least time between two readings, or at once when that is over.
        ({3.0: _World.grow}, 0.0, (15.0, 15.5)),
        ({40.0: _World.grow}, 0.0, (40.0, 40.5)),
        # A log that takes long to read is read seldom.
        ({3.0: _World.grow}, 4.0, (36.0, 36.5)),
        # An end is looked for more often.
        ({7.0: lambda world: setattr(world, "alive", False)}, 0.0, (7.0, 12.0)),
        ({7.0: lambda world: setattr(world, "over", True)}, 0.0, (7.0, 7.5)),
    ],
)
def test_the_next_reading_is_due(
    tmp_path: Path, plan: dict[float, Callable[[_World], None]], worked: float, due: tuple[float, float]
) -> None:
    """On growth, but not too often; soon after the writer's end, and at the deadline."""
    earliest, latest = due
    assert earliest <= _World(tmp_path, plan).waited(worked) <= latest


@pytest.mark.parametrize("away", [False, True])
def test_a_quiet_run_shows_a_sign_of_life_every_half_minute(tmp_path: Path, away: bool) -> None:
    """Whether or not the server can be reached at the time."""
    world = _World(tmp_path, {100.0: _World.grow})
    world.away = away
    world.waited()
    assert world.heard == [30.0, 60.0, 90.0]
