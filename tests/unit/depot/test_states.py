"""The states of a run, as a client sees them that only looks."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

    from ...depot_client import Client


def _lines(offset: int, count: int) -> dict[str, Any]:
    content = [json.dumps({"_step": offset + place}) for place in range(count)]
    return {"files": {"wandb-history.jsonl": {"offset": offset, "content": content}}}


def _state_after(client: Client, project: str, *posts: dict[str, Any]) -> str:
    client.open_run(project, "r")
    for post in posts:
        assert client.stream(project, "r", post).status == 200
    return str(client.run_field(project, "r", "state")["state"])


_PREEMPTING: dict[str, Any] = {"preempting": True}
_FINISHED: dict[str, Any] = {"complete": True, "exitcode": 0}
_FAILED: dict[str, Any] = {"complete": True, "exitcode": 1}


@pytest.mark.parametrize(
    ("posts", "state"),
    [
        ([], "running"),
        ([{}], "running"),
        ([_FINISHED], "finished"),
        ([_FAILED], "failed"),
        ([_FINISHED, _FINISHED], "finished"),
        ([_PREEMPTING, {}], "preempting"),
        ([_PREEMPTING, _lines(0, 2)], "preempting"),
        ([_PREEMPTING, _FINISHED], "finished"),
        ([_PREEMPTING, {}, _FAILED], "preempted"),
        ([_PREEMPTING, _FAILED, _FAILED], "preempted"),
        ([_PREEMPTING | _FAILED], "preempted"),
    ],
)
def test_a_run_is_in_the_state_that_it_reported(
    client: Client, project: str, posts: list[dict[str, Any]], state: str
) -> None:
    """It says once that it will be preempted; an end with an error then is no failure."""
    assert _state_after(client, project, *posts) == state


@pytest.mark.parametrize(("told", "state"), [({"config": "{}"}, "preempted"), ({"host": "another"}, "failed")])
def test_a_run_that_tells_its_config_is_still_about_to_be_preempted(
    client: Client, project: str, told: dict[str, str], state: str
) -> None:
    """Clients send a config that changed by opening the run again; who opens it to go on says where it runs."""
    client.open_run(project, "r", host="here")
    client.stream(project, "r", _PREEMPTING)
    client.open_run(project, "r", **told)
    client.stream(project, "r", _FAILED)
    assert client.run_field(project, "r", "state")["state"] == state


@pytest.mark.parametrize("end", [_FINISHED, _FAILED], ids=["finished", "failed"])
def test_a_late_request_does_not_bring_an_ended_run_to_life(client: Client, project: str, end: dict[str, Any]) -> None:
    """A post that arrives a second time, after the end, brings nothing: lines, count, state and exit code stay."""
    state = _state_after(client, project, _lines(0, 3), _lines(3, 2), end, _lines(0, 3), {}, _lines(3, 2), {})
    assert state == {0: "finished", 1: "failed"}[end["exitcode"]]
    found = client.run_field(project, "r", "historyLineCount history(samples: 9)")
    assert found["historyLineCount"] == len(found["history"]) == 5


def test_an_ended_run_lives_again_when_it_goes_on(client: Client, project: str) -> None:
    """By new lines, and by being opened."""
    assert _state_after(client, project, _lines(0, 1), _FINISHED, _lines(1, 1)) == "running"
    assert _state_after(client, project, _FINISHED, _PREEMPTING, _FAILED) == "preempted"
    assert _state_after(client, project) == "running"


@pytest.mark.parametrize(
    ("posts", "state"), [([{}], "crashed"), ([_PREEMPTING], "preempted"), ([_FINISHED], "finished")]
)
def test_a_run_that_is_silent_for_five_minutes_has_crashed(
    client: Client, project: str, depot: DepotProcess, posts: list[dict[str, Any]], state: str
) -> None:
    """Or was preempted, if it said so; a filter finds it as such; the next heartbeat makes it a running one."""
    before = _state_after(client, project, *posts)
    silent = "UPDATE runs SET heartbeat_at = ? WHERE project_id = (SELECT id FROM projects WHERE name = ?)"
    for seconds, expected in ((200, before), (310, state)):
        values = (time.time() - seconds, project)
        with closing(depot.place.open_database()) as database:
            database.write(lambda c, values=values: c.execute(silent, values))
        assert client.run_field(project, "r", "state") == {"state": expected}
    query = """query($p: String!, $f: JSONString) { project(name: $p, entityName: "tester") { runs(filters: $f) {
        edges { node { name } } } } }"""
    found = client.query(query, {"p": project, "f": json.dumps({"state": state})}).json["data"]["project"]["runs"]
    assert [edge["node"]["name"] for edge in found["edges"]] == ["r"]
    assert _state_after(client, project, {}) == "running"


_STOP = "mutation($i: ID!) { stopRun(input: {id: $i}) { success } }"


@pytest.mark.parametrize(("end", "state"), [(_FAILED, "killed"), (_FINISHED, "finished")])
def test_a_run_that_was_asked_to_stop_and_ends_with_an_error_was_killed(
    client: Client, project: str, end: dict[str, Any], state: str
) -> None:
    """It stays so when requests come late; opened again, it is asked no more, and may fail."""
    run = client.open_run(project, "r")
    assert client.query(_STOP, {"i": run["id"]}).status == 200
    for post in ({}, end, {}, end):
        assert client.stream(project, "r", post).status == 200
    assert client.run_field(project, "r", "state") == {"state": state}
    assert _state_after(client, project, _FAILED) == "failed"


def test_a_state_that_there_is_not_is_refused(client: Client, project: str) -> None:
    """400, by either way to set one."""
    run = client.open_run(project, "r")
    for text in (
        'mutation($i: ID!) { updateRunState(input: {id: $i, state: "tired"}) { success } }',
        'mutation($i: String!) { upsertBucket(input: {id: $i, state: "tired"}) { inserted } }',
    ):
        reply = client.query(text, {"i": run["id"]})
        assert (reply.status, b"invalid run state 'tired'" in reply.body) == (400, True)
    assert client.run_field(project, "r", "state") == {"state": "running"}
