"""What a client may ask for has bounds: each request here would stop the depot, or break it, without one."""

from __future__ import annotations

import base64
import gzip
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from backhaul.depot import Depot, Place, numbers
from backhaul.depot.graphql import endpoint
from backhaul.depot.graphql.context import Context, TookTooLong
from backhaul.depot.graphql.files import _like
from backhaul.depot.model import Role, User

if TYPE_CHECKING:
    from pathlib import Path

    from ...depot_client import Client

_SOON = 20.0  # seconds, on a busy machine


def _message(reply: Any) -> str:
    return str(reply.json["errors"][0]["message"])


def test_a_pattern_that_never_ends_is_refused(client: Client, project: str) -> None:
    """In Python's own engine this one takes some hours, during which nobody is answered."""
    client.open_run(project, "r1", displayName="a" * 60 + "!")
    text = 'query($p: String, $f: JSONString) { project(name: $p, entityName: "tester") { runCount(filters: $f) } }'
    began = time.monotonic()
    reply = client.query(text, {"p": project, "f": json.dumps({"displayName": {"$regex": "^(a|aa)+$"}})})
    assert (reply.status, "takes too long" in _message(reply)) == (400, True)
    assert time.monotonic() - began < _SOON
    good = client.query(text, {"p": project, "f": json.dumps({"displayName": {"$regex": "^a+!$"}})})
    assert good.json["data"]["project"]["runCount"] == 1


def test_a_pattern_of_file_names_takes_no_time_that_grows_with_a_power() -> None:
    """`%` is any text; twenty of them find what they should, and give up as fast."""
    began = time.process_time()
    assert _like("%a" * 20 + "b").fullmatch("a" * 4000) is None
    assert _like("%a" * 20 + "%").fullmatch("a" * 4000)
    assert time.process_time() - began < _SOON
    good, bad = ["%", "media%", "%.png", "%images%", "m%s/%_1.p%g"], ["media", "%.jpg", "%images", "_", ""]
    hits = [pattern for pattern in (*good, *bad) if _like(pattern).fullmatch("media/images/x_1.png")]
    assert hits == good


def test_a_document_may_not_multiply_itself(client: Client) -> None:
    """A thousand fields, counted with all fragments put in: thirty lines could else ask for a billion."""
    fragments = "".join(f"fragment F{n} on User {{ ...F{n + 1} ...F{n + 1} }} " for n in range(30))
    reply = client.query("{ viewer { ...F0 } } " + fragments + "fragment F30 on User { name }")
    assert (reply.status, "fields; 1000 are allowed" in _message(reply)) == (400, True)
    aliases = " ".join(f"a{n}: viewer {{ name }}" for n in range(501))
    assert client.query(f"{{ {aliases} }}").status == 400
    assert client.query(f"{{ {aliases.replace('a500: viewer { name }', '')} }}").status == 200


def test_a_query_ends_after_its_time_and_a_change_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, at the next field; what has begun to change something is carried out."""
    monkeypatch.setattr(endpoint, "LONGEST_QUERY", -1.0)
    depot = Depot(Place(tmp_path), entity="tester")
    try:
        context = Context(depot.services(), "http://h", User("tester", Role.ADMIN))
        graphql = endpoint.GraphQLEndpoint()
        with pytest.raises(endpoint.Refused, match="takes longer") as refused:
            graphql.answer({"query": "{ viewer { name } }"}, context)
        assert refused.value.status == 503
        change = 'mutation { upsertModel(input: {name: "p", entityName: "tester"}) { project { name } } }'
        assert graphql.answer({"query": change}, context)[0] == 200
        assert not issubclass(TookTooLong, Exception)
    finally:
        depot.close()


@pytest.mark.parametrize("text", ["9" * 5000, "9" * 19, "-1", "", "\u0663", "1.0", " 1", "0x1"])
def test_a_text_that_is_no_number_of_a_thing_is_none(text: str) -> None:
    """Nor one that Python does not read or SQLite does not hold."""
    assert numbers.whole(text) is None
    assert numbers.whole("9" * 18) == 10**18 - 1


def _id(*parts: str) -> str:
    return base64.b64encode(":".join(parts).encode()).decode()


_IN_RUN = 'project(name: "p", entityName: "tester") { run(name: "r") { %s } }'
_SUMMARY = 'mutation($v: JSONString) { upsertBucket(input: {name: "r", summaryMetrics: $v}) { inserted } }'
_TTL = """mutation($v: Int64) { createArtifact(input: {entityName: "tester", projectName: "p",
    artifactTypeName: "t", artifactCollectionName: "c", digest: "d", digestAlgorithm: MANIFEST_MD5,
    ttlDurationSeconds: $v}) { __typename } }"""
_SAMPLED = "query($v: [JSONString!]!) { %s }" % (_IN_RUN % "sampledHistory(specs: $v)")


@pytest.mark.parametrize(
    ("text", "value", "status"),
    [
        ("query($v: ID!) { artifact(id: $v) { id } }", _id("Artifact", "9" * 19), 404),
        ("query($v: ID!) { artifact(id: $v) { id } }", _id("Artifact", "9" * 5000), 404),
        ("query($v: String) { models(after: $v) { edges { cursor } } }", "9" * 5000, 200),
        ("query($v: String) { project(name: $v) { id } }", "\ud800", 400),
        ("query($v: String) { %s }" % (_IN_RUN % "logLines(after: $v) { edges { node { line } } }"), "9" * 5000, 200),
        (_SAMPLED, ['{"keys":[],"minStep":1e400}'], 400),
        (_SAMPLED, ['{"keys":[],"maxStep":1e400}'], 400),
        ("mutation($v: String) { upsertModel(input: {name: $v}) { inserted } }", "\ud800", 400),
        (_SUMMARY, True, 400),
        (_SUMMARY, {"a": 1}, 400),
        (_SUMMARY, '{"a": 1}', 200),
        (_TTL, "forever", 400),
        (_TTL, True, 400),
        (_TTL, 2**63, 400),
        (_TTL, "3600", 200),
        (_TTL, -2, 200),
    ],
)  # fmt: skip
def test_numbers_and_texts_that_nothing_can_hold_are_answered(
    client: Client, text: str, value: Any, status: int
) -> None:
    """JSON can carry them; SQLite, Python's integers or UTF-8 cannot. Each of these was a 500 once."""
    client.open_run("p", "r")
    reply = client.query(text, {"v": value})
    assert reply.status == status, reply.body


def test_a_line_has_a_bound(client: Client, project: str) -> None:
    """16 MiB, above what any client sends; the request as a whole is refused, and nothing of it is kept."""
    client.open_run(project, "r1")
    body = {"files": {"output.log": {"offset": 0, "content": ["short", "x" * ((16 << 20) + 1)]}}}
    assert client.stream(project, "r1", body).status == 413
    assert client.run_field(project, "r1", "logLineCount") == {"logLineCount": 0}


@pytest.mark.parametrize("levels", [99, 101, 900, 5000])
@pytest.mark.parametrize("signs", ["[]", "{}"], ids=["lists", "objects"])
def test_a_row_that_is_nested_very_deeply_harms_nobody(client: Client, project: str, levels: int, signs: str) -> None:
    """It is kept as it came; questions about its run and its project are answered, as if it said nothing."""
    opening = signs[0] if signs == "[]" else '{"a":'
    deep = '{"deep":' + opening * levels + "1" + signs[1] * levels + ',"_step":1}'
    client.open_run(project, "r1")
    files = {
        "wandb-history.jsonl": {"offset": 0, "content": ['{"_step":0,"loss":1}', deep, '{"_step":2,"loss":3}']},
        "wandb-summary.json": {"offset": 0, "content": [deep]},
    }
    assert client.stream(project, "r1", {"files": files}).status == 200
    client.open_run(project, "r1")
    again = {"wandb-history.jsonl": {"offset": 3, "content": [deep]}}
    assert client.stream(project, "r1", {"files": again}).status == 200
    spec = json.dumps({"keys": ["loss"]})
    text = """query($p: String!, $f: JSONString, $s: [JSONString!]!) { project(name: $p, entityName: "tester") {
        runs(filters: $f, order: "-summary_metrics.loss") { edges { node { name } } }
        run(name: "r1") { history(samples: 9) historyKeys sampledHistory(specs: $s) summaryMetrics } } }"""
    reply = client.query(text, {"p": project, "f": json.dumps({"config.lr": {"$exists": False}}), "s": [spec]})
    assert reply.status == 200, reply.body
    found = reply.json["data"]["project"]
    assert found["runs"] == {"edges": [{"node": {"name": "r1"}}]}
    assert found["run"]["history"][1] == found["run"]["summaryMetrics"] == deep
    assert found["run"]["sampledHistory"] == [[{"loss": 1}, {"loss": 3}]]
    assert ("deep" in "".join(found["run"]["historyKeys"]["keys"])) == (levels < 100)


def test_what_comes_without_a_key_is_small(client: Client) -> None:
    """The form that signs in is bounded, packed or not; before, a few hundred kilobytes made the depot unpack many."""
    bomb = gzip.compress(b"key=" + b"0" * (8 << 20))
    assert len(bomb) > 4096
    small = gzip.compress(b"key=" + b"0" * 100_000)
    assert len(small) < 4096
    for data, headers in ((b"key=" + b"0" * 5000, {}), (bomb, {"Content-Encoding": "gzip"}),
                          (small, {"Content-Encoding": "gzip"})):  # fmt: skip
        assert client.request("POST", "/login", data, headers).status == 413


def test_a_packed_request_is_as_large_as_one_that_is_not(client: Client, project: str) -> None:
    """64 MiB, whatever it was packed to."""
    client.open_run(project, "r1")
    body = gzip.compress(b'{"a":"' + b"0" * (64 << 20) + b'"}', 1)
    assert client.stream(project, "r1", body, **{"Content-Encoding": "gzip"}).status == 413


def test_a_number_beyond_all_others_breaks_no_page(client: Client, project: str) -> None:
    """JSON has whole numbers that no double holds; one run with them leaves the lists of all others as they are."""
    huge = "1" + "0" * 400
    histogram = f'{{"_type": "histogram", "values": [{huge}, 1], "bins": [0, 1, 2]}}'
    client.open_run(project, "r1", summaryMetrics=f'{{"_runtime": {huge}, "h": {histogram}}}')
    row = f'{{"_step": {huge}, "a": {huge}, "h": {histogram}}}'
    assert client.stream(project, "r1", {"files": {"wandb-history.jsonl": {"content": [row]}}}).status == 200
    key = client.api_key.encode()
    signed_in = client.request("POST", "/login", b"key=" + key).headers["set-cookie"].partition(";")[0]
    run = f"/tester/{project}/runs/r1"
    for page in ("/", f"/tester/{project}", run, f"{run}/media", f"{run}/overview", f"{run}/series?key=a"):
        assert client.request("GET", page, headers={"Cookie": signed_in}).status == 200
    assert client.run_field(project, "r1", "historyKeys")["historyKeys"]["lastStep"] == 0
