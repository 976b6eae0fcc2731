"""A server says no, or nothing: what `wandb sync` 0.31 makes of that, and what ours does, with the same faults.

Each row of the failure tables that needs a server is a run of its own here; both clients get all of them in one call.
`docs/reference/beside-wandb-sync.md` lists the rows, and where the other ones are tried.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from backhaul.wandblog import LogReader, LogWriter
from backhaul.wandblog.schema import Record

from ..command import Backhaul, bare_env, copied, log_of, marker_of, record
from ..conftest import DepotProcess
from ..depot_contents import Held, held
from ..fault_proxy import Exchange, Fault, FaultProxy, Seen, answer, forward, lose_answer, refusal, stall
from ..official import Official, OfficialEnd
from ..waiting import until

pytestmark = pytest.mark.timeout(500)

_RECORD = """
    import os, wandb
    settings = wandb.Settings(console="wrap", x_disable_stats=True)
    for run_id in ("plain", "artifact-gone", "artifact-refused"):
        with wandb.init(project="recorded", id=run_id, settings=settings) as run:
            for value in range(20):
                run.log({"value": value})
                print("line", value)
            if run_id != "plain":
                with open(run_id, "w") as file:
                    file.write(f"content of {run_id}")
                logged = wandb.Artifact(run_id, "dataset")
                logged.add_file(run_id)
                run.log_artifact(logged)
"""
_SAVED = "saved.txt"
_NO = "the server's own words"


def _once_each(fault: Fault) -> Fault:
    """Meet every other request."""
    turns = itertools.cycle((fault, forward))

    async def alternating(exchange: Exchange) -> web.StreamResponse:
        return await next(turns)(exchange)

    return alternating


# What meets which request of which run. The run's id is in the request's path or body.
_REFUSED: dict[str, tuple[str, Fault]] = {
    "lines-403": ("file_stream", refusal(403, _NO)),
    "lines-404": ("file_stream", refusal(404, _NO)),
    "lines-413": ("file_stream", refusal(413, _NO)),
    "upsert-400": ("UpsertBucket", refusal(400, _NO)),
    "upsert-403": ("UpsertBucket", refusal(403, _NO)),
    "upsert-404": ("UpsertBucket", refusal(404, _NO)),
    "places-400": ("CreateRunFiles", refusal(400, _NO)),
    "put-403": ("put", answer(403, _NO)),
    "artifact-refused": ("CreateArtifact", refusal(400, _NO)),
    "answers-lost": ("file_stream", _once_each(lose_answer)),
}
# These have no end for the official client, or none that anybody waits for.
_ENDLESS: dict[str, tuple[str, Fault]] = {
    "deleted-409": ("UpsertBucket", refusal(409, "run e/p/deleted-409 was previously created and deleted")),
    "lines-503": ("file_stream", refusal(503, _NO)),
    "put-500": ("put", answer(500, _NO)),
    "put-stalls": ("put", stall),
}


def _met(proxy: FaultProxy, faults: dict[str, tuple[str, Fault]]) -> None:
    """Let each fault meet its requests of its run, and those alone."""

    def chosen(kind: str) -> Fault:
        async def fault(exchange: Exchange) -> web.StreamResponse:
            for run_id, (its_kind, its_fault) in faults.items():
                if its_kind == kind and _is_about(exchange.seen, run_id):
                    return await its_fault(exchange)
            return await forward(exchange)

        return fault

    for kind in {kind for kind, _ in faults.values()}:
        proxy.always(kind, chosen(kind))


def _is_about(seen: Seen, run_id: str) -> bool:
    return run_id in seen.path or run_id.encode() in seen.body


def _renamed(original: Path, folder: Path, run_id: str) -> Path:
    """A run directory like `original`, of another run, with a saved file of its own."""
    home = folder / "wandb" / f"offline-run-20260101_000000-{run_id}"
    (home / "files").mkdir(parents=True)
    (home / "files" / _SAVED).write_text(f"saved by {run_id}")
    with (home / f"run-{run_id}.wandb").open("wb") as file:
        writer = LogWriter(file)
        for read in LogReader(log_of(original)):
            told = Record.FromString(read.data)
            if told.WhichOneof("record_type") == "run":
                told.run.run_id = run_id
            if told.WhichOneof("record_type") == "exit":
                saved = Record(num=told.num)
                saved.files.files.add(path=_SAVED, policy=2)
                writer.write(saved.SerializeToString())
                told.num += 1
            writer.write(told.SerializeToString())
    return home


def _until_it_asks_again(official: Official, proxy: FaultProxy, project: str, runs: list[Path]) -> OfficialEnd:
    """How the official client stands when it has met each endless trouble, and all that it tries again twice."""

    def has_asked() -> bool:
        wanted = ((kind, run_id, 1 if fault is stall else 2) for run_id, (kind, fault) in _ENDLESS.items())
        return all(_asked(proxy.seen, kind, run_id) >= often for kind, run_id, often in wanted)

    with official.started("-p", project, *runs) as process:
        until(lambda: process.poll() is not None or has_asked(), "it asks again about each run", 150)
        return OfficialEnd(process.poll(), "")


def _asked(requests: list[Seen], kind: str, run_id: str) -> int:
    return sum(seen.kind == kind and _is_about(seen, run_id) for seen in list(requests))


@dataclass(frozen=True)
class Sent:
    """What became of the runs of one call: their directories by id, the official end or our document, the requests."""

    folder: Path
    data: Path
    project: str
    seen: list[Seen]
    official: OfficialEnd | None = None
    ours: Any = None

    def run(self, run_id: str) -> Any:
        """Our outcome of a run."""
        (run,) = (run for run in self.ours["runs"] if run["run_id"] == run_id)
        return run

    @property
    def errors(self) -> list[str]:
        """What the official client told of errors."""
        assert self.official is not None
        return [line for line in self.official.output.splitlines() if "ERROR" in line]

    def home(self, run_id: str) -> Path:
        """The run directory."""
        (home,) = self.folder.glob(f"wandb/*-{run_id}")
        return home

    def held(self, run_id: str) -> Held:
        """The run in the depot."""
        return held(self.data, self.project, run_id)

    def asked(self, kind: str, run_id: str) -> int:
        """How often a request was made about a run."""
        return _asked(self.seen, kind, run_id)


@dataclass(frozen=True)
class Both:
    """The refusals and the endless troubles, each met by both clients."""

    official: Sent
    ours: Sent
    official_endless: Sent
    our_endless: Sent


@pytest.fixture(scope="module")
def both(depot: DepotProcess, tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Four calls at once: each client with each kind of trouble, on copies of the same runs."""
    home = tmp_path_factory.mktemp("beside")
    env = bare_env(home / "home") | {"WANDB_SILENT": "false", "WANDB_API_KEY": depot.api_key}
    recorded = {run.name.split("-", 3)[-1]: run for run in record(_RECORD, home / "recording", env)}
    for content in (home / "home").rglob("*"):
        if content.is_file() and content.read_bytes() == b"content of artifact-gone":
            content.unlink()

    def call(name: str, faults: dict[str, tuple[str, Fault]], *, is_ours: bool, endless: bool) -> Sent:
        folder, project = home / name, f"{name}-{home.name}"
        for run_id in {*faults, *(() if endless else ("artifact-gone", "saved-gone"))}:
            if run_id in recorded:
                copied(recorded[run_id], folder)
            else:
                _renamed(recorded["plain"], folder, run_id)
        if not endless:
            saved = folder / "wandb" / "offline-run-20260101_000000-saved-gone" / "files" / _SAVED
            saved.unlink()
            saved.symlink_to(folder / "gone")
        with FaultProxy(depot.url) as proxy:
            _met(proxy, faults)
            if is_ours:
                limits = ("--deadline", "15") if endless else ()
                done = Backhaul(env, home).to(proxy.url).sync(folder, "-p", project, *limits, timeout=150)
                return Sent(folder, depot.data, project, list(proxy.seen), ours=done.document)
            official = Official(env, home).to(proxy.url)
            runs = sorted(folder.glob("wandb/*"))
            end = (
                _until_it_asks_again(official, proxy, project, runs) if endless else official.sync("-p", project, *runs)
            )
            return Sent(folder, depot.data, project, list(proxy.seen), official=end)

    with ThreadPoolExecutor() as pool:
        calls = [
            pool.submit(call, "official", _REFUSED, is_ours=False, endless=False),
            pool.submit(call, "ours", _REFUSED, is_ours=True, endless=False),
            pool.submit(call, "official-endless", _ENDLESS, is_ours=False, endless=True),
            pool.submit(call, "our-endless", _ENDLESS, is_ours=True, endless=True),
        ]
        return Both(*(each.result() for each in calls))


def test_the_exit_code_tells(both: Both) -> None:
    """The official client ends with 0 although ten runs did not arrive as they are; ours does not."""
    assert both.official.official is not None
    assert both.official.official.exit_code == 0
    assert both.ours.ours["exit_code"] != 0


@pytest.mark.parametrize("run_id", ["lines-403", "lines-404", "lines-413"])
def test_refused_lines(both: Both, run_id: str) -> None:
    """Theirs: "Finished", marked, the rows lost. Ours: the server's words, not marked, the run as it was before."""
    assert marker_of(both.official.home(run_id)).exists()
    assert len(both.official.held(run_id).rows) < 20
    assert both.official.held(run_id).run.state == "running"
    run = both.ours.run(run_id)
    code = {"lines-403": "forbidden", "lines-404": "not-found", "lines-413": "too-large"}[run_id]
    assert (run["state"], run["error"]["code"]) == ("quarantined", code)
    assert _NO in run["error"]["message"]
    assert not marker_of(both.ours.home(run_id)).exists()


@pytest.mark.parametrize("run_id", ["upsert-400", "upsert-403", "upsert-404"])
def test_a_refused_run_is_named(both: Both, run_id: str) -> None:
    """Theirs: the server's words and no run's name, among ten runs. Ours: run, words, what to do."""
    assert any(_NO in line for line in both.official.errors)
    assert not any(run_id in line for line in both.official.errors)
    error = both.ours.run(run_id)["error"]
    assert error["code"] == {"400": "bad-request", "403": "forbidden", "404": "not-found"}[run_id[-3:]]
    assert _NO in error["message"]
    assert run_id in error["message"]


@pytest.mark.parametrize("run_id", ["places-400", "put-403", "saved-gone"])
def test_a_file_that_does_not_arrive(both: Both, run_id: str) -> None:
    """Theirs: nothing is said, the run is marked, the file is lost. Ours: the file is named, the run not marked."""
    assert not any(_SAVED in line for line in both.official.errors)
    assert marker_of(both.official.home(run_id)).exists()
    assert _SAVED not in both.official.held(run_id).files
    run = both.ours.run(run_id)
    named = (
        [run["error"]["message"]] if run["error"] else [item["what"] + item["reason"] for item in run["quarantined"]]
    )
    assert any(_SAVED in text or "files" in text for text in named)
    assert run["state"] == "quarantined"
    assert not marker_of(both.ours.home(run_id)).exists()
    assert len(both.ours.held(run_id).rows) == 20


@pytest.mark.parametrize("run_id", ["artifact-gone", "artifact-refused"])
def test_an_artifact_that_does_not_arrive(both: Both, run_id: str) -> None:
    """Theirs: nothing is said, the run is marked. Ours: the artifact is named with the reason, the rest is there."""
    assert not any(run_id in line for line in both.official.errors)
    assert marker_of(both.official.home(run_id)).exists()
    run = both.ours.run(run_id)
    assert [item["what"] for item in run["quarantined"]] == [f"artifact {run_id}"]
    assert not marker_of(both.ours.home(run_id)).exists()
    assert (len(both.ours.held(run_id).rows), both.ours.held(run_id).run.state) == (20, "finished")


def test_answers_that_get_lost(both: Both) -> None:
    """Every answer to lines is lost after the server stored them: each line is there once, whoever sent it."""
    for sent in (both.official, both.ours):
        assert [row["value"] for row in sent.held("answers-lost").rows] == list(range(20))


def test_the_official_client_does_not_come_to_an_end(both: Both) -> None:
    """One run waits for ever, so the command does; not one word of it is about why."""
    assert both.official_endless.official == OfficialEnd(None, "")


@pytest.mark.parametrize(
    ("run_id", "code", "next_step"),
    [
        ("deleted-409", "run-deleted", "--id"),
        ("lines-503", "deadline", "same command"),
        ("put-500", "deadline", "same command"),
        ("put-stalls", "deadline", "same command"),
    ],
)
def test_a_trouble_without_an_end_is_told(both: Both, run_id: str, code: str, next_step: str) -> None:
    """Theirs asks again and again without a word. Ours: what cannot pass is told at once, the rest at the deadline."""
    kind = _ENDLESS[run_id][0]
    assert both.official_endless.asked(kind, run_id) >= (1 if run_id == "put-stalls" else 2)
    assert not marker_of(both.official_endless.home(run_id)).exists()
    run = both.our_endless.run(run_id)
    assert (run["error"]["code"], run["state"] in ("blocked", "quarantined")) == (code, True)
    assert next_step in run["error"]["next"]
    if run_id == "deleted-409":
        assert both.our_endless.asked(kind, run_id) == 1
