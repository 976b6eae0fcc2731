"""The relay: what unmodified SDKs log to a depot inside a closed network comes to a server outside of it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..command import Backhaul, Finished, kill
from ..conftest import DepotProcess, StartDepot
from ..depot_contents import Held, held, held_or_none
from ..fault_proxy import FaultProxy, reset
from ..waiting import until

# Other programs do the work, on a machine that may have much else to do.
pytestmark = pytest.mark.timeout(500)

_LOGS = """
    import sys, wandb
    run = wandb.init(project="relay", id="r1", config={"lr": 0.1, "nested": {"a": [1, 2]}}, tags=["x"], notes="n",
                     name="One", group="g", job_type="train")
    run.define_metric("acc", summary="max")
    with open("saved.txt", "w") as file:
        file.write("saved")
    run.save("saved.txt")
    for step in range(100):
        run.log({"loss": 1 / (step + 1), "acc": step % 7, "deep": {"er": step}, "odd": float("nan")})
        print("line", step)
    print("wrong", file=sys.stderr)
    run.log({"page": wandb.Html("<b>x</b>"), "table": wandb.Table(columns=["a"], data=[[1]])})
    artifact = wandb.Artifact("set", "dataset", metadata={"k": 1})
    with open("part.bin", "wb") as file:
        file.write(b"1234")
    artifact.add_file("part.bin")
    artifact.add_reference("http://example.org/x", name="there", checksum=False)
    run.log_artifact(artifact, aliases=["best"]).wait()
    run.alert("title", "text")
    run.finish()
"""
# Logs ten rows each time it is told to go on, and ends when nobody will tell it any more.
_GOES_ON = """
    import sys, wandb
    run = wandb.init(project="relay", id="long")
    for _ in sys.stdin:
        for _ in range(10):
            run.log({"loss": 1})
        print("told", flush=True)
    run.finish()
"""


class _Network:
    """A closed network with a depot, a server outside, and a way between them on which a test has its hand."""

    def __init__(self, near: DepotProcess, far: DepotProcess, way: FaultProxy, env: dict[str, str], cwd: Path) -> None:
        self.near, self.far, self.way, self.cwd = near, far, way, cwd
        self.inside = env | {"WANDB_BASE_URL": near.url, "WANDB_API_KEY": near.api_key}
        self.backhaul = Backhaul(env | {"WANDB_API_KEY": far.api_key}, cwd)

    def start(self, script: str) -> subprocess.Popen[str]:
        """A program under the real SDK, online, inside the network."""
        command = [sys.executable, "-c", textwrap.dedent(script)]
        return subprocess.Popen(
            command, env=self.inside, cwd=self.cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def log(self, script: str) -> None:
        """The same, to its end."""
        process = self.start(script)
        process.communicate(timeout=120)
        assert process.returncode == 0

    @property
    def arguments(self) -> list[object]:
        """What `backhaul` is given to pass everything on."""
        entity = ["--from-entity", "tester"]
        database = ["--db", self.near.database] if self.near.database else []
        return ["depot", "forward", "--data", self.near.data, *database, "--to", self.way.url, *entity]

    def forward(self) -> Finished:
        """Pass on what is there now."""
        return self.backhaul(*self.arguments, "--once", timeout=120)

    def inside_and_outside(self, run: str) -> tuple[Held, Held]:
        """The run as both depots hold it."""
        return held(self.near.place, "relay", run), held(self.far.place, "relay", run)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)])
def network(
    request: pytest.FixtureRequest, start_depot: StartDepot, isolated_env: dict[str, str], tmp_path: Path
) -> Iterator[_Network]:
    database = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    near, far = start_depot(tmp_path / "near", database=database), start_depot(tmp_path / "far")
    with FaultProxy(far.url) as way:
        yield _Network(near, far, way, isolated_env, tmp_path)


def _plain(lines: dict[int, str]) -> list[Any]:
    return [json.loads(line, parse_constant=str) for line in lines.values()]


def _nearly(lines: dict[int, str]) -> list[Any]:
    """Lines of system metrics; a time that came through a float is good to a microsecond."""
    return [{**row, "_timestamp": pytest.approx(row["_timestamp"], rel=0, abs=1e-6)} for row in _plain(lines)]


_MADE_BY_THE_SENDER = {"config.yaml", "wandb-summary.json"}


def _assert_same(there: Held, here: Held) -> None:
    assert _plain(there.history) == _plain(here.history)
    assert _plain(there.events) == _nearly(here.events)
    assert there.output == here.output
    assert (there.config, json.dumps(there.summary, sort_keys=True)) == (
        here.config,
        json.dumps(here.summary, sort_keys=True),
    )
    for name in ("display_name", "state", "exit_code", "notes", "tags", "group", "job_type", "host", "program"):
        assert getattr(there.run, name) == getattr(here.run, name), name
    assert there.files.keys() == here.files.keys()
    assert all(there.files[name] == here.files[name] for name in here.files.keys() - _MADE_BY_THE_SENDER)
    assert there.alerts == here.alerts

    def told(run: Held) -> list[tuple[Any, ...]]:
        return [(a.collection.name, a.collection.type, a.digest, a.aliases, a.metadata, a.size) for a in run.logged]

    assert told(there) == told(here)


def test_a_run_that_was_logged_inside_is_whole_outside_and_goes_once(network: _Network) -> None:
    """Lines, config, summary, files, artifacts, alerts and end are the same; a second call sends nothing."""
    network.log(_LOGS)
    done = network.forward()
    assert done.exit_code == 0, done.stderr
    here, there = network.inside_and_outside("r1")
    assert len(there.rows) == 101
    _assert_same(there, here)
    sent = len(network.way.seen)
    assert network.forward().exit_code == 0
    assert len(network.way.seen) == sent
    copies = list((network.near.data / "forward").rglob("contents/*"))
    assert copies == [], "what is home takes no room twice"


def test_a_run_that_goes_on_is_sent_as_far_as_it_is(network: _Network) -> None:
    """Its state outside stays running; each line goes once, under one number, and the rest comes with its end."""
    program = network.start(_GOES_ON)
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        program.stdin.write("on\n")
        program.stdin.flush()
        assert program.stdout.readline() == "told\n"
        until(lambda: len(held(network.near.place, "relay", "long").history) == 10, "the depot has the rows", 120)
        assert network.forward().exit_code == 5
        _, there = network.inside_and_outside("long")
        assert (len(there.rows), there.run.state) == (10, "running")
        program.stdin.write("on\n")
        program.stdin.close()
        assert program.wait(120) == 0
    finally:
        program.kill()
        program.stdout.close()
    done = network.forward()
    assert done.exit_code == 0, done.stderr
    _assert_same(*reversed(network.inside_and_outside("long")))
    lines = [(stream, number) for stream, number, _ in network.way.lines() if stream != "wandb-summary.json"]
    assert len(lines) == len(set(lines))


def test_a_way_that_is_cut_and_a_forwarder_that_is_killed_cost_only_time(network: _Network) -> None:
    """Whoever starts again finds in the ledger what arrived; a run's alert is sent once."""
    network.log(_LOGS)
    network.way.on("file_stream", reset)
    network.way.on("put", reset)
    first = network.backhaul.start(*network.arguments, "--every", 0.5)
    network.way.wait_for("put")
    kill(first)
    second = network.backhaul.start(*network.arguments, "--every", 0.5)
    try:
        until(lambda: (run := held_or_none(network.far.data, "relay", "r1")) and run.run.state == "finished", "it ends")
        until(lambda: list((network.near.data / "forward").rglob("forwarded")), "it is proved")
    finally:
        second.terminate()
    assert second.wait(120) == 143
    second.communicate()
    here, there = network.inside_and_outside("r1")
    _assert_same(there, here)
    numbers: dict[tuple[str, int], set[str]] = {}
    for stream, number, line in network.way.lines():
        if stream != "wandb-summary.json":
            numbers.setdefault((stream, number), set()).add(line)
    assert all(len(lines) == 1 for lines in numbers.values())


def test_a_depot_with_forward_passes_on_and_takes_its_companion_along(
    network: _Network, isolated_env: dict[str, str], tmp_path: Path
) -> None:
    """One command inside the network; when it ends, so does the process that it started."""
    relay = Backhaul(isolated_env | {"WANDB_API_KEY": network.far.api_key}, tmp_path).start(
        "depot", "--port", 0, "--data", tmp_path / "relay", "--entity", "tester", "--forward", network.way.url
    )
    try:
        assert relay.stdout is not None
        url = relay.stdout.readline().strip()
        key = (tmp_path / "relay" / "api-key").read_text().strip()
        network.inside |= {"WANDB_BASE_URL": url, "WANDB_API_KEY": key}
        network.log(_GOES_ON)
        until(lambda: held_or_none(network.far.data, "relay", "long"), "it is passed on", 150)
    finally:
        relay.terminate()
        relay.communicate(timeout=120)
    assert relay.returncode == 0
    command = f"--data\0{tmp_path / 'relay'}\0".encode()
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if command in _read(path)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # it has ended
