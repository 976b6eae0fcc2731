"""A sweep and its agents, over HTTP: every point is given away once, and states decide what agents are told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ...depot_client import Client

_GRID = {"method": "grid", "metric": {"name": "loss", "goal": "minimize"}, "parameters": {"a": {"values": [1, 2, 3]}}}


def _send(client: Client, name: str, fields: dict[str, Any], answer: str) -> Any:
    kind = name[0].upper() + name[1:] + "Input"
    reply = client.query(f"mutation($i: {kind}!) {{ {name}(input: $i) {{ {answer} }} }}", {"i": fields})
    assert reply.status == 200, reply.body
    return reply.json["data"][name]


def _sweep(client: Client, project: str, config: Any = _GRID, **more: Any) -> Any:
    fields = {"entityName": "tester", "projectName": project, "config": json.dumps(config), **more}
    return _send(client, "upsertSweep", fields, "sweep { id name state displayName }")["sweep"]


def _agent(client: Client, project: str, sweep: Any) -> str:
    fields = {"entityName": "tester", "projectName": project, "sweep": sweep["name"], "host": "h"}
    return str(_send(client, "createAgent", fields, "agent { id }")["agent"]["id"])


def _told(client: Client, agent: str, *busy: str) -> list[Any]:
    fields = {"id": agent, "metrics": "{}", "runState": json.dumps(dict.fromkeys(busy, True))}
    return list(json.loads(_send(client, "agentHeartbeat", fields, "commands")["commands"]))


def _shown(client: Client, project: str, sweep: Any, fields: str) -> Any:
    text = "query($p: String!, $s: String!) { project(name: $p) { sweep(sweepName: $s) { %s } } }"
    return client.query(text % fields, {"p": project, "s": sweep["name"]}).json["data"]["project"]["sweep"]


def test_two_agents_share_a_grid_and_the_sweep_ends_with_its_last_run(client: Client, project: str) -> None:
    """An agent with a run under way is told nothing; when nothing is left, it may go."""
    sweep = _sweep(client, project)
    assert sweep["state"] == "PENDING"
    first, second = _agent(client, project, sweep), _agent(client, project, sweep)
    given = [command for agent in (first, second, first) for command in _told(client, agent)]
    wanted = [("run", {"a": {"value": number}}) for number in (1, 2, 3)]
    assert [(command["type"], command["args"]) for command in given] == wanted
    names = [command["run_id"] for command in given]
    assert len(set(names)) == 3
    assert _told(client, first, names[2]) == []
    for name, loss in zip(names, (5, 3, 4), strict=True):
        client.open_run(project, name, sweep=sweep["name"], summaryMetrics=json.dumps({"loss": loss}))
        assert _shown(client, project, sweep, "state") == {"state": "RUNNING"}
        assert _told(client, second) == [{"type": "exit"}]
        client.stream(project, name, {"complete": True, "exitcode": 0})
    assert _told(client, second) == [{"type": "exit"}]
    fields = """state runCount runCountExpected bestLoss runs { edges { node { name } } }
        agents { edges { node { totalRuns runs { edges { node { name } } } } } }"""
    shown = _shown(client, project, sweep, fields)
    assert (shown["state"], shown["runCount"], shown["runCountExpected"], shown["bestLoss"]) == ("FINISHED", 3, 3, 3)
    assert {edge["node"]["name"] for edge in shown["runs"]["edges"]} == set(names)
    tried = [[run["node"]["name"] for run in edge["node"]["runs"]["edges"]] for edge in shown["agents"]["edges"]]
    assert tried == [[names[0], names[2]], [names[1]]]


def test_a_sweep_with_a_run_that_diverged_is_read(client: Client, project: str) -> None:
    """The best value is the best finite one; every start of a further run asks for it."""
    sweep = _sweep(client, project, {**_GRID, "parameters": {"a": {"min": 0, "max": 10**12}}})
    for name, loss in (("r1", "NaN"), ("r2", "2.5"), ("r3", "-Infinity"), ("r4", "true"), ("r5", "1" + "0" * 400)):
        client.open_run(project, name, sweep=sweep["name"], summaryMetrics=f'{{"loss": {loss}}}')
    shown = _shown(
        client, project, sweep, "bestLoss runCount runCountExpected runs(first: 4) { edges { node { name } } }"
    )
    assert [shown[name] for name in ("bestLoss", "runCount", "runCountExpected")] == [2.5, 5, (1 << 31) - 1]
    assert [edge["node"]["name"] for edge in shown["runs"]["edges"]] == ["r5", "r4", "r3", "r2"]


def test_a_run_that_an_agent_was_told_to_start_is_the_sweeps(client: Client, project: str) -> None:
    """Also where the client does not say so; another run of the project is not."""
    sweep = _sweep(client, project, _GRID | {"program": "train.py"})
    (command,) = _told(client, _agent(client, project, sweep))
    assert command["program"] == "train.py"
    client.open_run(project, "other")
    client.open_run(project, command["run_id"])
    found = _shown(client, project, sweep, "runs { edges { node { name } } }")
    assert found == {"runs": {"edges": [{"node": {"name": command["run_id"]}}]}}


@pytest.mark.parametrize(
    ("state", "idle", "busy"),
    [
        ("PAUSED", [], []),
        ("STOPPED", [{"type": "exit"}], []),
        ("FINISHED", [{"type": "exit"}], []),
        ("CANCELED", [{"type": "exit"}], [{"type": "stop", "run_id": "r"}]),
    ],
)
def test_the_state_decides_what_agents_are_told(
    client: Client, project: str, state: str, idle: list[Any], busy: list[Any]
) -> None:
    """Nothing new is begun; only a canceled sweep ends what is under way."""
    sweep = _sweep(client, project)
    agent = _agent(client, project, sweep)
    _send(client, "upsertSweep", {"id": sweep["id"], "state": state}, "sweep { id }")
    assert (_told(client, agent), _told(client, agent, "r")) == (idle, busy)
    _send(client, "upsertSweep", {"id": sweep["id"], "state": "RUNNING"}, "sweep { id }")
    assert _told(client, agent)[0]["type"] == "run"


def test_a_sweep_is_changed_by_its_id(client: Client, project: str) -> None:
    """What is not named stays; the list shows one sweep, and another project none."""
    sweep = _sweep(client, project, {**_GRID, "name": "called so"}, description="said")
    _send(client, "upsertSweep", {"id": sweep["id"], "displayName": "now so"}, "sweep { id }")
    shown = _shown(client, project, sweep, "displayName description state method")
    assert shown == {"displayName": "now so", "description": "said", "state": "PENDING", "method": "grid"}
    text = "query($p: String!) { project(name: $p) { totalSweeps sweeps { edges { node { name } } } } }"
    found = client.query(text, {"p": project}).json["data"]["project"]
    assert found == {"totalSweeps": 1, "sweeps": {"edges": [{"node": {"name": sweep["name"]}}]}}


@pytest.mark.parametrize(
    ("name", "fields", "status"),
    [
        ("upsertSweep", {"config": "method: magic"}, 400),
        ("upsertSweep", {}, 400),
        ("upsertSweep", {"id": "U3dlZXA6OTk5OTk5", "state": "PAUSED"}, 404),
        ("upsertSweep", {"config": json.dumps(_GRID), "state": "ASLEEP"}, 400),
        ("createAgent", {"sweep": "nobody", "host": "h"}, 404),
        ("agentHeartbeat", {"id": "QWdlbnQ6OTk5OTk5"}, 404),
        ("agentHeartbeat", {"id": "nonsense"}, 404),
    ],
)
def test_what_cannot_be_is_refused(client: Client, name: str, fields: dict[str, Any], status: int) -> None:
    """With a sentence; agents take 404 for a sweep that was deleted."""
    kind = name[0].upper() + name[1:] + "Input"
    reply = client.query(f"mutation($i: {kind}!) {{ {name}(input: $i) {{ __typename }} }}", {"i": fields})
    assert (reply.status, bool(reply.json["errors"][0]["message"])) == (status, True)
