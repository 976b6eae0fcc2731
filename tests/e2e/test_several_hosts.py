"""`backhaul watch` on several hosts with one queue: each has a network and a name of its own, and can be cut off.

They share folders in the three ways that matter: with locks that hold among hosts, with locks that do not, and for
reading only, so that each host keeps ledgers of its own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..command import Backhaul, copy_of, id_of
from ..depot_contents import Held, held
from ..hosts import Host, Recorder, Site, a_site, postgres_at, tools
from ..renamed_run import renamed
from ..watching import Watching

# Three watchers, a database and a depot, each with a network of its own, on a machine that may have much else to do.
pytestmark = pytest.mark.timeout(500)

# Long beside what a busy machine may hold a watcher up for: nobody may lose his runs who was not cut off.
_LEASE = 24
_KINDS = ("locks", "nolocks", "readonly")
_DEPOT = """
import sys
from pathlib import Path
from backhaul.depot import Depot, Place
Depot(Place(Path(sys.argv[1])), entity="tester").run(port=0, on_ready=lambda url: print(url, flush=True))
"""
_IN_A_TURN = """
import sys
from backhaul.unattended.queue.postgresql import PostgresDatabase
with PostgresDatabase(sys.argv[1]).transaction() as execute:
    execute("put_fact", name="paused", value="yes")
    print("in it", flush=True)
    sys.stdin.read()
"""


class Cluster:
    """A site with its servers, folders that its hosts share, and the watchers on them."""

    def __init__(self, site: Site, queue: str, folder: Path, backhaul: Backhaul, project: str) -> None:
        self.site, self.queue, self.folder, self.project = site, queue, folder, project
        self._backhaul, self._watching = backhaul, list[Watching]()
        self._original = copy_of("0.18.7", folder / "original")
        for kind in _KINDS:
            (folder / "shared" / kind).mkdir(parents=True)
            (folder / "disk" / kind).mkdir(parents=True)
        self.runs: list[Path] = []
        self.depot = folder / "depot"
        self._process = subprocess.Popen(
            [*site.prefix, sys.executable, "-c", _DEPOT, str(self.depot)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.depot_url = self._process.stdout.readline().strip()
        subprocess.run(["bindfs", folder / "disk" / "locks", folder / "shared" / "locks"], check=True)

    def host(self, name: str) -> Host:
        """A host that sees the shared folders."""
        host = self.site.host(name)
        for kind, options in (("nolocks", "rw"), ("readonly", "ro")):
            host.mounts.append((self.folder / "disk" / kind, self.folder / "shared" / kind, options))
        return host

    def record_runs(self, number: int) -> list[Path]:
        """So many runs that have ended, in each of the shared folders."""
        made = []
        for _ in range(number):
            for kind in _KINDS:
                # Complete when it is seen: a copy that is under way is no run yet.
                run = renamed(self._original, self.folder / "made", f"run{len(self.runs):02}")
                place = self.folder / "disk" / kind / run.name
                shutil.move(run, place)
                made.append(self.folder / "shared" / kind / run.name)
                self.runs.append(place)
        return made

    def by(self, host: Host, server: str) -> Backhaul:
        """The command as it is started on a host."""
        (home := self.folder / host.name).mkdir(exist_ok=True)
        key = (self.depot / "api-key").read_text().strip()
        return self._backhaul.to(server, key).with_env(HOME=str(home))

    def watch(self, host: Host, server: str) -> Watching:
        """A watcher on a host, for as long as the test lasts.

        With two runs at a time it has three in hand and takes no more, so that what comes next is for the next host.
        It never gives up waiting for an answer.
        """
        folders = [self.folder / "shared" / kind for kind in _KINDS]
        self._watching.append(
            Watching(
                self.by(host, server), *folders, "--queue", self.queue, "-p", self.project, "--lease", _LEASE,
                "--poll", "0.5", "-j", "2", "--timeout", "600", prefix=host.prefix,
            )
        )  # fmt: skip
        return self._watching[-1]

    def receipts(self) -> list[Path]:
        """All receipts of all hosts."""
        return list(self.folder.glob("*/.local/state/backhaul/receipts/**/*.json"))

    def held(self, run: Path) -> Held:
        """What the depot holds of a run."""
        return held(self.depot, self.project, id_of(run))

    def close(self) -> None:
        """End everything that was started."""
        for watching in self._watching:
            watching.kill()
            # Shown when the test has failed.
            print("\n".join(map(str, watching.events)), end="\n\n")
        self._process.terminate()
        self._process.communicate(timeout=60)
        subprocess.run(["umount", "--lazy", self.folder / "shared" / "locks"], check=True)


@pytest.fixture
def site() -> Iterator[Site]:
    tools()
    with a_site() as made:
        yield made


@pytest.fixture
def queue(site: Site) -> Iterator[str]:
    with postgres_at(site) as url:
        yield url


@pytest.fixture
def cluster(site: Site, queue: str, tmp_path: Path, backhaul: Backhaul, project: str) -> Iterator[Cluster]:
    made = Cluster(site, queue, tmp_path, backhaul, project)
    yield made
    made.close()


def test_one_is_killed_and_one_is_cut_off_and_every_run_is_delivered_once(cluster: Cluster) -> None:
    """Each in the middle of three runs; the server has the lines of all six, and neither host has heard so.

    The third host brings all of them home. The one that was cut off has let go of its runs by then, learns when it is
    back that they are no longer its own, sends nothing of them, and does the next one.
    """
    cut, killed, heir = (cluster.host(name) for name in ("node1", "node2", "node3"))
    recorder = Recorder(cluster.site, cluster.depot_url, [cut, killed])
    try:
        cluster.record_runs(1)
        first = cluster.watch(cut, recorder.url)
        recorder.wait_for(cut, "file_stream", runs=3)
        cluster.record_runs(1)
        second = cluster.watch(killed, recorder.url)
        recorder.wait_for(killed, "file_stream", runs=3)
        cut.unplug()
        second.kill()
        cluster.record_runs(1)
        third = cluster.watch(heir, recorder.url)
        first.until("lapsed")
        while len(third.told("verified")) < len(cluster.runs):
            third.until("verified")
        silent_since = len(recorder.seen)
        recorder.answer_all()
        cut.plug_in()
        for _ in range(3):
            first.until("lost")
        assert third.stop() == 0
        assert [each for each in recorder.seen[silent_since:] if each["host"] == cut.address] == []
        (*_, last) = cluster.record_runs(1)
        while len(first.told("verified")) < 3:
            first.until("verified")
        assert first.stop() == 0
    finally:
        recorder.close()

    told = Counter(event["path"] for watching in (first, second, third) for event in watching.told("verified"))
    assert len(told) == len(cluster.runs) == 12
    assert set(told.values()) == {1}
    assert str(last) in told
    assert _receipts_by_run(cluster) == {id_of(run): 1 for run in cluster.runs}
    assert len({str(cluster.held(run).counts) for run in cluster.runs}) == 1
    assert len({str(sorted(cluster.held(run).history.items())) for run in cluster.runs}) == 1
    _nothing_twice(recorder.seen)
    shown = cluster.by(heir, recorder.url)(
        "queue", "list", "--all", "--json", "--queue", cluster.queue, prefix=cluster.site.prefix
    )
    assert {(run["state"], run["crashes"]) for run in shown.document["runs"]} == {("verified", 0)}


def test_a_host_that_is_cut_off_in_the_middle_of_its_turn_holds_up_nobody(site: Site, queue: str) -> None:
    """The server takes the turn from it, and undoes what it had changed; so does the host learn of it."""
    host = site.host("node1")
    turn = subprocess.Popen(
        [*host.prefix, sys.executable, "-c", _IN_A_TURN, queue], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert turn.stdout is not None
    assert turn.stdout.readline() == "in it\n"
    host.unplug()
    assert turn.stdin is not None
    turn.stdin.close()
    listed = [*site.prefix, sys.executable, "-m", "backhaul", "queue", "list", "--queue", queue]
    done = subprocess.run(listed, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "paused" in done.stdout) == (0, False), done.stderr
    assert turn.stderr is not None
    with turn.stderr, turn.stdout:
        assert "QueueUnavailable" in turn.stderr.read()
    turn.wait(60)


def _receipts_by_run(cluster: Cluster) -> dict[str, int]:
    """How many receipts all hosts have of each run."""
    return dict(Counter(id_of(run) for run in cluster.runs for path in cluster.receipts() if id_of(run) in path.name))


def _nothing_twice(seen: list[dict[str, Any]]) -> None:
    """No line that was acknowledged was sent again, and none ever had two contents."""
    acknowledged, contents = set[tuple[str, str, int]](), dict[tuple[str, str, int], str]()
    for request in seen:
        for name, number, text in request.get("lines", []):
            line = (request["path"], name, number)
            if request["status"] is None:
                assert line not in acknowledged, line
                assert contents.setdefault(line, text) == text or name == "wandb-summary.json", line
            else:
                acknowledged.add(line)
