"""What is passed on when: with a real store, and a destination that answers as told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backhaul.depot.keeping import Kept, kept_in
from backhaul.depot.model import Delivery, Run, RunEdit
from backhaul.depot.place import Place
from backhaul.errors import BackhaulError, BadRequest, ConnectionRefused, StillRecording
from backhaul.relay.forwarder import Forwarder
from backhaul.relay.spool import Spool
from backhaul.sync.outcome import Outcome, RunState
from backhaul.sync.report import Report

from ...small_disk import small_disk

_START = 2_000_000_000.0


@dataclass
class World:
    """A depot, a clock, and what was sent. `answers` says by run id what befalls a run; else it is verified."""

    kept: Kept
    folder: Path
    now: float = _START
    sent: list[list[str]] = field(default_factory=list)
    answers: dict[str, Callable[[], BackhaulError]] = field(default_factory=dict)

    def forwarder(self) -> Forwarder:
        """A forwarder that has just started."""
        return Forwarder(Spool(self.folder, self.kept, "tester", lambda: self.now), self._send, lambda: self.now)

    def run(self, name: str, *, ended: bool = True) -> Run:
        """A run of the depot, with a file."""
        run, _ = self.kept.store.open_run("tester", "demo", name, RunEdit())
        self.kept.store.put_file(run.id, "a.txt", self.kept.blobs.keep(name.encode())).result()
        if ended:
            self.kept.store.deliver(run.id, Delivery(complete=True, exit_code=0)).result()
        return run

    def _send(self, paths: Sequence[Path]) -> Report:
        outcomes = []
        for path in paths:
            (log,) = path.glob("*.wandb")
            outcome = Outcome(path, log.stem.removeprefix("run-"), state=RunState.VERIFIED)
            if outcome.run_id in self.answers:
                outcome.fail(self.answers[outcome.run_id]())
            outcomes.append(outcome)
        self.sent.append([outcome.run_id for outcome in outcomes])
        return Report(tuple(outcomes))

    def went(self, forwarder: Forwarder) -> list[str]:
        """The runs that are sent if the forwarder looks now."""
        self.sent.clear()
        forwarder.forward()
        return [name for names in self.sent for name in sorted(names)]


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    database = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    with kept_in(Place(tmp_path / "data", database=database)) as kept:
        yield World(kept, tmp_path / "spool")


def test_a_run_that_is_home_goes_again_only_when_it_has_changed(world: World) -> None:
    """Also after a new start; a file that comes late is seen within five minutes."""
    run = world.run("one")
    forwarder = world.forwarder()
    assert world.went(forwarder) == ["one"]
    assert world.went(forwarder) == []
    assert world.went(world.forwarder()) == []
    world.kept.store.put_file(run.id, "late.txt", world.kept.blobs.keep(b"late")).result()
    world.now += 301
    assert world.went(forwarder) == ["one"]
    world.kept.store.edit_run(run.id, RunEdit(notes="changed"))
    world.now += 1
    assert world.went(forwarder) == ["one"]


def test_what_is_refused_is_tried_again_later_and_later_and_at_once_when_it_has_changed(world: World) -> None:
    """After one minute, then after two; others are not kept waiting."""
    run = world.run("bad")
    world.run("good")
    world.answers["bad"] = lambda: BadRequest("no")
    forwarder = world.forwarder()
    assert world.went(forwarder) == ["bad", "good"]
    times = []
    for second in range(1, 200):
        world.now = _START + second
        if world.went(forwarder):
            times.append(second)
    assert times == [60, 180]
    world.kept.store.edit_run(run.id, RunEdit(notes="mended"))
    world.answers.clear()
    assert world.went(forwarder) == ["bad"]


@pytest.mark.parametrize("error", [lambda: ConnectionRefused("down"), lambda: StillRecording("goes on")])
def test_what_waits_or_goes_on_is_tried_at_the_next_look(world: World, error: Callable[[], BackhaulError]) -> None:
    """Waiting out a closed way is not a refusal."""
    world.run("one")
    world.answers["one"] = error
    forwarder = world.forwarder()
    for _ in range(3):
        assert world.went(forwarder) == ["one"]
        world.now += 10


def test_a_run_whose_bytes_the_depot_has_lost_stops_no_other(world: World) -> None:
    """It is told with its reason, and tried again later."""
    lost = world.run("lost")
    world.run("whole")
    (file,) = world.kept.store.files(lost.id)
    world.kept.blobs.destroy(file.blob)
    forwarder = world.forwarder()
    assert world.went(forwarder) == ["whole"]
    assert world.went(forwarder) == []


def test_what_is_on_its_way_takes_no_room_twice_and_outlives_its_removal(world: World, tmp_path: Path) -> None:
    """The bytes have one more name; on another file system they are copied."""
    run = world.run("one")
    (file,) = world.kept.store.files(run.id)
    laid = Spool(world.folder, world.kept, "tester", lambda: world.now).write(run)
    (content,) = (laid.path / "contents").iterdir()
    assert content.stat().st_nlink == 2
    world.kept.blobs.destroy(file.blob)
    assert (laid.files / "a.txt").read_bytes() == b"one"
    other = world.run("two")
    with small_disk(tmp_path / "disk", 8) as disk:
        laid = Spool(disk, world.kept, "tester", lambda: world.now).write(other)
        assert (laid.files / "a.txt").read_bytes() == b"two"


def test_a_name_that_is_no_name_for_a_file_has_a_place_all_the_same(world: World) -> None:
    """Whatever a client may call a run."""
    world.run("a%2Fb c")
    world.run("..")
    assert sorted(world.went(world.forwarder())) == ["..", "a%252Fb%20c"]
    assert len(list(world.folder.rglob("*.wandb"))) == 2
