"""Servers that know less than we would like to ask: runs arrive and are proved all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ..command import Backhaul, another_second_than, bare_env, copied, marker_of, record
from ..conftest import DepotProcess
from ..depot_contents import held, held_or_none
from ..fault_proxy import Fault, FaultProxy, Seen, answer, lying, refusal, when

_UNKNOWN = refusal(400, 'Cannot query field "files" on type "Run".')


def _is_of_our_own(seen: Seen) -> bool:
    """Whether a request asks for more in one than the official client does."""
    query = seen.json["query"]
    return ("upsertBucket" in query and "createRunFiles" in query) or ("model(" in query and "files(" in query)


def test_a_server_that_takes_the_official_clients_questions_alone_gets_runs_whole(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, tmp_path: Path, project: str
) -> None:
    """Several runs in one call: verified, and none is told under another one's name."""
    for kind in ("RunResumeStatus", "UpsertBucket"):
        proxy.always(kind, when(_is_of_our_own, _UNKNOWN))
    proxy.always("ServerFeaturesQuery", refusal(400, 'Cannot query field "serverInfo" on type "Query".'))
    proxy.always("Viewer", refusal(400))
    second = copied(healthy, tmp_path / "second")
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    other = backhaul.to(proxy.url).sync(second, "-p", project, "--id", "other")
    assert (other.exit_code, other.only["state"]) == (0, "verified"), other.stderr
    for run in ("healthy", "other"):
        assert len(held(depot.data, project, run).rows) == 300


@pytest.mark.parametrize("silence", [refusal(400, "unknown operation"), answer(200, '{"data": {}}')])
def test_a_server_that_cannot_be_asked_gets_the_run_and_nothing_is_called_proved(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str, silence: Fault
) -> None:
    """All is sent, each line under one number however often; once the server answers, the run is verified."""
    for kind in ("RunResumeStatus", "RunFiles"):
        proxy.always(kind, silence)
    through = backhaul.to(proxy.url)
    for _ in range(2):
        done = through.sync(healthy, "-p", project)
        assert (done.exit_code, done.only["state"], done.only["error"]["code"]) == (7, "sent", "not-provable")
        assert len(held(depot.data, project, "healthy").rows) == 300
    assert not marker_of(healthy).exists()
    numbers: dict[tuple[str, str], set[int]] = {}
    for stream, number, line in proxy.lines():
        if stream != "wandb-summary.json":
            numbers.setdefault((stream, line), set()).add(number)
    assert all(len(under) == 1 for under in numbers.values())
    proxy.heal()
    assert through.sync(healthy, "-p", project).only["state"] == "verified"


def test_verify_makes_no_run_at_a_server_that_cannot_be_asked(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """A question leaves nothing behind, also where opening the run would tell how many rows it has."""
    for kind in ("RunResumeStatus", "RunFiles"):
        proxy.always(kind, refusal(400, "unknown operation"))
    done = backhaul.to(proxy.url)("verify", healthy, "--json", "-p", project)
    assert (done.exit_code, done.only["error"]["code"]) == (7, "not-provable"), done.stderr
    assert held_or_none(depot.data, project, "healthy") is None


_ODD_NAME = """
    import wandb
    run = wandb.init(project="recorded", id="odd")
    run.log({"odd\\nkey": wandb.Html("one"), "key": wandb.Html("two", inject=False)})
    run.finish()
"""


def test_a_file_name_that_the_server_refuses_keeps_nothing_else_from_arriving(
    backhaul: Backhaul, depot: DepotProcess, tmp_path: Path, project: str
) -> None:
    """Addresses are asked for many files at once, and a name that is refused has the whole question refused."""
    (run,) = record(_ODD_NAME, tmp_path, {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "WANDB_SILENT": "true"})
    done = backhaul.to(depot.url).sync(run, "-p", project)
    assert (done.exit_code, done.only["state"]) == (6, "quarantined"), done.stderr
    (refused,) = done.only["quarantined"]
    assert refused["what"].startswith("file media/html/odd\n")
    there = held(depot.data, project, "odd")
    assert (len(there.rows), there.run.state) == (1, "finished")
    assert there.files["config.yaml"]
    assert [content for name, content in there.files.items() if name.startswith("media/")] == [b"two"]


_ARTIFACT = """
    import wandb
    run = wandb.init(project="recorded", id="artifact")
    artifact = wandb.Artifact("model", "model")
    with artifact.new_file("weights") as file:
        file.write("1 2 3")
    run.log_artifact(artifact)
    run.finish()
"""


@pytest.fixture(scope="module")
def with_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that logged one artifact."""
    home = tmp_path_factory.mktemp("artifact")
    (run,) = record(_ARTIFACT, home, {"PATH": "/usr/bin:/bin", "HOME": str(home), "WANDB_SILENT": "true"})
    return run


def test_a_server_that_does_not_show_artifacts_gets_them_and_does_not_pass_for_proved(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, with_artifact: Path, project: str
) -> None:
    """Also when it has the content already; once the server answers, the run is verified."""
    proxy.always("ArtifactByID", refusal(400, 'Cannot query field "artifact" on type "Query".'))
    through = backhaul.to(proxy.url)
    for run in ("first", "second"):
        done = through.sync(with_artifact, "-p", project, "--id", run)
        assert (done.exit_code, done.only["state"], done.only["error"]["code"]) == (7, "sent", "not-provable")
        assert done.only["quarantined"] == []
    (model,) = held(depot.data, project, "first").logged
    assert (model.collection.name, model.committed) == ("model", True)
    proxy.heal()
    assert through.sync(with_artifact, "-p", project, "--id", "first").only["state"] == "verified"


def test_an_upload_address_that_is_refused_is_asked_for_anew_once(
    backhaul: Backhaul, proxy: FaultProxy, with_artifact: Path, project: str
) -> None:
    """Not all stores say that an address has expired. One that refuses the new one too is believed, and named."""
    refused: set[bytes] = set()

    def is_first(seen: Seen) -> bool:
        # A manifest's address is asked for when it is needed, and never old.
        if seen.body in refused or b"storagePolicy" in seen.body:
            return False
        refused.add(seen.body)
        return True

    through = backhaul.to(proxy.url)
    proxy.always("put", when(is_first, refusal(403)))
    done = through.sync(with_artifact, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert b"1 2 3" in refused
    assert len(refused) > 1
    proxy.heal()
    proxy.always("put", refusal(403))
    before = len(proxy.of("put"))
    done = through.sync(with_artifact, "-p", project, "--id", "refused", "--no-artifacts")
    assert (done.exit_code, done.only["state"]) == (6, "quarantined"), done.stderr
    assert all("storage refuses" in item["next"] for item in done.only["quarantined"])
    assert len(proxy.of("put")) - before == 2 * len(done.only["quarantined"])


@pytest.mark.parametrize("silence", [answer(404, "<html>no such page</html>"), answer(200, '{"data": {}}')])
def test_a_server_that_takes_no_files_gets_the_rows(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str, silence: Fault
) -> None:
    """Each file is named as not delivered; a later sync sends them."""
    proxy.always("UpsertBucket", when(_is_of_our_own, _UNKNOWN))
    proxy.always("CreateRunFiles", silence)
    through = backhaul.to(proxy.url)
    done = through.sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (6, "quarantined"), done.stderr
    assert "file config.yaml" in {item["what"] for item in done.only["quarantined"]}
    assert len(held(depot.data, project, "healthy").rows) == 300
    proxy.heal()
    assert through.sync(healthy, "-p", project).only["state"] == "verified"


_ALERTS = """
    import wandb
    run = wandb.init(project="recorded", id="alerts")
    run.log({"loss": 1})
    run.alert("first", "text")
    run.alert("second", "text")
    run.finish()
"""


def _ten_rows(answer: Any) -> Any:
    run = answer["data"]["project"]["run"]
    run["history"] = run["history"][:10]
    return answer


def test_rows_are_read_back_in_as_many_pages_as_a_server_makes_of_them(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """A server that gives ten rows at once, however many are asked for, lacks none of them."""
    through = backhaul.to(proxy.url)
    assert through.sync(healthy, "-p", project).exit_code == 0
    proxy.always("HistoryPage", lying(_ten_rows))
    done = through("verify", healthy, "--deep", "--json", "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert len(proxy.of("HistoryPage")) == 30


@pytest.mark.parametrize("status", [400, 500])
def test_a_server_without_alerts_gets_the_rest_of_the_run(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, tmp_path: Path, project: str, status: int
) -> None:
    """What is refused is named; the run arrives and ends; a later sync sends the alerts, each once."""
    home = tmp_path / "home"
    (run,) = record(_ALERTS, home, bare_env(home))
    through = backhaul.to(proxy.url)
    proxy.always("NotifyScriptableRunAlert", refusal(status, "Cannot query field notifyScriptableRunAlert"))
    done = through.sync(run, "-p", project)
    assert (done.exit_code, done.only["state"]) == (6, "quarantined"), done.stderr
    assert [item["what"] for item in done.only["quarantined"]] == ["alert first", "alert second"]
    assert held(depot.data, project, "alerts").run.state == "finished"
    proxy.heal()
    again = through.sync(run, "-p", project)
    assert (again.exit_code, again.only["state"]) == (0, "verified"), again.stderr
    assert held(depot.data, project, "alerts").alerts == 2


_PART = """
    import wandb
    run = wandb.init(project="recorded", id="parts", resume="allow")
    print("a line of the part")
    run.log({"loss": 1})
    run.finish()
"""


@pytest.mark.parametrize("status", [400, 500])
def test_a_server_that_answers_no_question_beside_the_official_clients_gets_all_parts(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, tmp_path: Path, project: str, status: int
) -> None:
    """Some fail at a question that they do not know, each time: no reason to wait for them for ever."""
    (first,) = record(_PART, tmp_path / "home", bare_env(tmp_path / "home"))
    another_second_than(first)
    (second,) = record(_PART, tmp_path / "home", bare_env(tmp_path / "home"))
    for kind in ("ServerFeaturesQuery", "RunConsoleLogTail", "HistoryPage"):
        proxy.always(kind, refusal(status, "KeyError"))
    done = backhaul.to(proxy.url).sync(first.parent, "-p", project)
    states = {run["path"]: run["state"] for run in done.document["runs"]}
    assert (done.exit_code, states) == (0, {str(first): "verified", str(second): "verified"}), done.stderr
    assert proxy.of("RunConsoleLogTail")
    there = held(depot.data, project, "parts")
    assert [row["_step"] for row in there.rows] == [0, 1]
    assert [line.endswith("a line of the part") for line in there.output.values()].count(True) == 2
