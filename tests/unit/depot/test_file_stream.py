"""The `file_stream` request over HTTP, and what is left after a kill."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import StartDepot

    from .conftest import Client, ClientFor

_HISTORY = "wandb-history.jsonl"


def _lines(client: Client, project: str) -> list[str]:
    found: list[str] = client.run_field(project, "r1", "history(minStep: -1, maxStep: 999999)")["history"]
    return found


def test_lines_summary_and_state_arrive(client: Client, project: str) -> None:
    """The answer is the object that every engine takes; the summary replaces the one before."""
    client.open_run(project, "r1")
    body = {
        "files": {
            _HISTORY: {"offset": 0, "content": ['{"_step":0,"a":NaN}', '{"_step":1}']},
            "wandb-summary.json": {"offset": 0, "content": ['{"a":Infinity}']},
            "output.log": {"offset": 0, "content": ["ERROR 2026-11-22T10:03:04.347799 bad ü", "plain"]},
        },
        "uploaded": ["x"],
        "dropped": 0,
    }
    reply = client.stream(project, "r1", body)
    assert (reply.status, reply.json) == (200, {"exitcode": None, "limits": {}})
    found = client.run_field(
        project, "r1", "state summaryMetrics logLineCount logLines(first: 10) { edges { node { number level line } } }"
    )
    assert (found["state"], found["summaryMetrics"], found["logLineCount"]) == ("running", '{"a":Infinity}', 2)
    assert [edge["node"] for edge in found["logLines"]["edges"]] == [
        {"number": 0, "level": "error", "line": "bad ü"},
        {"number": 1, "level": None, "line": "plain"},
    ]
    assert _lines(client, project) == ['{"_step":0,"a":NaN}', '{"_step":1}']
    client.stream(project, "r1", {"complete": True, "exitcode": 1})
    assert client.run_field(project, "r1", "state exitcode") == {"state": "failed", "exitcode": 1}


def test_the_same_post_twice_is_one_line_each(client: Client, project: str) -> None:
    """A client whose answer was lost sends again."""
    client.open_run(project, "r1")
    body = {"files": {_HISTORY: {"offset": 0, "content": ['{"_step":0}', '{"_step":1}']}}}
    for _ in range(2):
        assert client.stream(project, "r1", body).status == 200
    assert _lines(client, project) == ['{"_step":0}', '{"_step":1}']


def test_a_packed_body_is_read(client: Client, project: str) -> None:
    """Gzip, as newer engines may send it; a damaged one is a 400."""
    client.open_run(project, "r1")
    body = gzip.compress(json.dumps({"files": {_HISTORY: {"offset": 0, "content": ['{"_step":5}']}}}).encode())
    assert client.stream(project, "r1", body, **{"Content-Encoding": "gzip"}).status == 200
    assert client.stream(project, "r1", body[:-9], **{"Content-Encoding": "gzip"}).status == 400
    assert client.stream(project, "r1", b"no gzip", **{"Content-Encoding": "gzip"}).status == 400
    assert _lines(client, project) == ['{"_step":5}']


def test_a_body_of_32_mib_is_taken_and_one_without_end_is_not(client: Client, project: str) -> None:
    """Single lines of 10 MiB occur; beyond 64 MiB it is a 413."""
    client.open_run(project, "r1")
    content = [json.dumps({"_step": step, "x": "y" * (8 << 20)}) for step in range(4)]
    assert client.stream(project, "r1", {"files": {_HISTORY: {"offset": 0, "content": content}}}).status == 200
    assert client.run_field(project, "r1", "historyLineCount") == {"historyLineCount": 4}
    assert client.stream(project, "r1", b" " * (65 << 20)).status == 413


@pytest.mark.parametrize(
    "body",
    [
        {"files": []},
        {"files": {_HISTORY: []}},
        {"files": {_HISTORY: {"offset": -1, "content": []}}},
        {"files": {_HISTORY: {"offset": "0", "content": []}}},
        {"files": {_HISTORY: {"offset": 1 << 60, "content": ["x"]}}},
        {"files": {_HISTORY: {"offset": 0, "content": "text"}}},
        {"files": {"x" * 600: {"offset": 0, "content": []}}},
        {"complete": True, "exitcode": 1 << 80},
        [],
        b"{",
    ],
)
def test_a_body_of_another_shape_is_refused_whole(client: Client, project: str, body: Any) -> None:
    """400 with a message, nothing stored, no 500."""
    client.open_run(project, "r1")
    reply = client.stream(project, "r1", body)
    assert reply.status == 400
    assert reply.json["errors"][0]["message"]
    assert client.run_field(project, "r1", "historyLineCount") == {"historyLineCount": 0}


def test_lines_of_a_run_that_there_is_not_are_refused(client: Client, project: str) -> None:
    """404 tells the engine that nothing of this run can be streamed."""
    assert client.stream(project, "r1", {}).status == 404


def test_what_was_answered_with_200_survives_a_kill(
    tmp_path: Path, start_depot: StartDepot, client_for: ClientFor
) -> None:
    """SIGKILL right after each answer: lines and files are there at the next start, under the same key."""
    keys = set()
    for round_number in range(5):
        depot = start_depot(tmp_path / "depot")
        client = client_for(depot)
        keys.add(depot.api_key)
        client.open_run("p", "r1")
        assert _lines(client, "p") == [f'{{"_step":{step}}}' for step in range(round_number)]
        files = client.run_field("p", "r1", "files { edges { node { name } } }")["files"]["edges"]
        assert [edge["node"]["name"] for edge in files] == [f"f{step}" for step in range(round_number)]
        assert client.request("PUT", client.upload_address("p", "r1", f"f{round_number}"), b"x" * 100_000).status == 200
        body = {"files": {_HISTORY: {"offset": round_number, "content": [f'{{"_step":{round_number}}}']}}}
        assert client.stream("p", "r1", body).status == 200
        depot.kill()
    assert len(keys) == 1


def test_a_stopped_depot_ends_well_and_its_folder_has_one_owner(tmp_path: Path, start_depot: StartDepot) -> None:
    """SIGTERM ends it with exit code 0; a second depot over the same folder does not start meanwhile."""
    depot = start_depot(tmp_path / "depot")
    with pytest.raises(RuntimeError, match="did not start"):
        start_depot(tmp_path / "depot")
    assert depot.stop() == 0
    assert start_depot(tmp_path / "depot").api_key == depot.api_key


def _row(step: int) -> str:
    return json.dumps({"_step": step, "_timestamp": 1.5 + step, "x": step})


def _turned(step: int) -> str:
    return json.dumps({"x": step, "_timestamp": 1.5 + step, "_step": step})


def _steps(client: Client, project: str) -> list[int]:
    return [json.loads(line)["_step"] for line in client.run_field(project, "r1", "history(samples: 100)")["history"]]


def _send_rows(client: Client, project: str, offset: int, content: list[str]) -> None:
    client.stream(project, "r1", {"files": {"wandb-history.jsonl": {"offset": offset, "content": content}}})


def test_a_log_that_comes_again_behind_its_own_lines_leaves_no_row_twice(client: Client, project: str) -> None:
    """The engine numbers a second sync from the count that it is told, and writes a row's keys in any order."""
    client.open_run(project, "r1")
    _send_rows(client, project, 0, [_row(step) for step in range(5)])
    start = client.open_run(project, "r1")["historyLineCount"]
    _send_rows(client, project, start, [_turned(step) for step in range(3)])
    _send_rows(client, project, start + 3, [_turned(step) for step in range(3, 7)])
    assert (start, _steps(client, project)) == (5, list(range(7)))


def test_a_session_that_goes_on_is_kept_whole(client: Client, project: str) -> None:
    """Rows of later steps are new, and so are rows of a known step that say something else."""
    client.open_run(project, "r1")
    _send_rows(client, project, 0, [_row(0), _row(1)])
    client.open_run(project, "r1")
    other = json.dumps({"_step": 1, "_timestamp": 9.5, "x": "other"})
    _send_rows(client, project, 2, [other, _row(2)])
    client.open_run(project, "r1")
    _send_rows(client, project, 4, [_row(3)])
    assert _steps(client, project) == [0, 1, 1, 2, 3]


def test_equal_lines_without_a_moment_are_all_kept(client: Client, project: str) -> None:
    """Two rows that do not say when they were logged may be two rows."""
    client.open_run(project, "r1")
    _send_rows(client, project, 0, ['{"x":1}'])
    client.open_run(project, "r1")
    _send_rows(client, project, 1, ['{"x":1}'])
    assert client.run_field(project, "r1", "history(samples: 9)") == {"history": ['{"x":1}', '{"x":1}']}


def test_half_of_a_character_arrives_as_it_was_sent(client: Client, project: str) -> None:
    """A log line may hold a lone surrogate as a JSON escape; the fast parser refuses it, the depot takes it."""
    client.open_run(project, "r")
    line = '{"_step":0,"text":"\\ud83d"}'
    body = json.dumps({"files": {"output.log": {"offset": 0, "content": ["half \ud83d"]}}}).encode()
    assert b"\\ud83d" in body
    assert client.stream(project, "r", body).status == 200
    assert (
        client.stream(project, "r", {"files": {"wandb-history.jsonl": {"offset": 0, "content": [line]}}}).status == 200
    )
    assert client.run_field(project, "r", "history logLineCount") == {"history": [line], "logLineCount": 1}


def _bring(client: Client, project: str, writer: str, offset: int, *texts: str, **more: Any) -> None:
    files = {"wandb-history.jsonl": {"offset": offset, "content": [json.dumps({"t": text}) for text in texts]}}
    headers = {"X-Wandb-Async-Client-Id": writer, "X-Wandb-Use-Async-Filestream": "true"}
    assert client.stream(project, "r", {"files": files | more}, **headers).status == 200


def _texts(client: Client, project: str) -> list[str]:
    return [json.loads(line)["t"] for line in client.run_field(project, "r", "history(samples: 100)")["history"]]


def test_several_processes_write_into_one_run(client: Client, project: str) -> None:
    """Each numbers its lines from 0; none takes another's place, and what comes twice is kept once."""
    client.open_run(project, "r")
    _bring(client, project, "a", 0, "a0", "a1")
    client.open_run(project, "r")
    _bring(client, project, "b", 0, "b0")
    _bring(client, project, "a", 0, "a0", "a1", "a2")
    _bring(client, project, "b", 1, "b1")
    _bring(client, project, "b", 0, "b0", "b1")
    _bring(client, project, "c", 7, "c7", "c8")
    assert _texts(client, project) == ["a0", "a1", "b0", "a2", "b1", "c7", "c8"]
    assert client.run_field(project, "r", "historyLineCount") == {"historyLineCount": 7}


def test_the_summaries_of_several_processes_are_one(client: Client, project: str) -> None:
    """Each brings what it logged itself."""
    client.open_run(project, "r")
    for writer, summary in (("a", {"x": 1, "both": 1}), ("b", {"y": 2, "both": 2})):
        line = {"offset": 0, "content": [json.dumps(summary)]}
        _bring(client, project, writer, 0, writer, **{"wandb-summary.json": line})
    found = json.loads(client.run_field(project, "r", "summaryMetrics")["summaryMetrics"])
    assert found == {"x": 1, "y": 2, "both": 2}
