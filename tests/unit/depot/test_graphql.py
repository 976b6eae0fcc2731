"""The GraphQL endpoint, spoken to over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType

from backhaul.depot.graphql import schema

if TYPE_CHECKING:
    from .conftest import Client


def _messages(reply: Any) -> list[str]:
    return [error["message"] for error in reply.json["errors"]]


def test_every_resolver_belongs_to_a_field_of_the_schema() -> None:
    """Nothing is answered that no official client asks."""
    types = schema.load_schema().type_map
    strays = [
        f"{name}.{field}"
        for name, resolvers in schema.RESOLVERS.items()
        for field in resolvers
        if not isinstance(kind := types[name], GraphQLObjectType | GraphQLInterfaceType) or field not in kind.fields
    ]
    assert strays == []


def test_without_the_key_nothing_is_told(client: Client) -> None:
    """401 with the text that clients know, on every path but the signed ones."""
    for method, path in [
        ("POST", "/graphql"),
        ("POST", "/files/e/p/r/file_stream"),
        ("GET", "/files/e/p/r/a.txt"),
        ("GET", "/?format=json"),
        ("GET", "/e/p/runs/r?format=json"),
        ("GET", "/e/p/runs/r/series"),
    ]:
        reply = client.request(
            method, path, b"{}" if method == "POST" else None, {"Authorization": "Bearer " + "0" * 40}
        )
        assert (reply.status, reply.json) == (401, {"errors": [{"message": "user is not logged in"}]}), path


def test_the_viewer_is_known_by_the_key(client: Client) -> None:
    """Login counts as good exactly when `viewer` is not null; `flags` is JSON inside a text."""
    reply = client.query("query Viewer { viewer { id entity username flags teams { edges { node { name } } } } }")
    viewer = reply.json["data"]["viewer"]
    assert (viewer["entity"], json.loads(viewer["flags"])["code_saving_enabled"]) == ("tester", True)


def test_aliases_fragments_directives_and_typenames_are_honoured(client: Client, project: str) -> None:
    """Clients use the whole of GraphQL's ways to select."""
    client.open_run(project, "r1", tags=["t"])
    text = """#graphql
    query Q($p: String!, $yes: Boolean = true, $no: Boolean!, $unused: Int) {
      found: project(name: $p, entityName: "tester") { __typename ...P }
    }
    fragment P on Project { mine: run(name:"r1") { ... on Run { tags __typename } name @include(if: $yes)
        state @include(if: $no), }, }
    """
    reply = client.query(text, {"p": project, "no": False, "extra": [1]})
    found = {"__typename": "Project", "mine": {"tags": ["t"], "__typename": "Run", "name": "r1"}}
    assert reply.json == {"data": {"found": found}}


def test_the_first_operation_counts_when_none_is_named(client: Client) -> None:
    """`operationName` is often missing."""
    text = "query A { viewer { entity } } query B { serverInfo { features { name } } }"
    assert set(client.query(text).json["data"]) == {"viewer"}
    assert set(client.query(text, None, operationName="B").json["data"]) == {"serverInfo"}


def test_an_unknown_field_is_told_in_the_words_that_clients_look_for(client: Client) -> None:
    """400, with exactly the sentence by which clients detect an old server."""
    reply = client.query("query { serverInfo { shoeSize } }")
    assert (reply.status, _messages(reply)) == (400, ['Cannot query field "shoeSize" on type "ServerInfo".'])


def test_what_is_not_supported_says_so(client: Client) -> None:
    """A root field without an implementation is a clear error, never a 500."""
    reply = client.query('mutation { upsertView(input: {name: "x", spec: "{}"}) { view { id } } }')
    assert (reply.status, _messages(reply)) == (400, ["upsertView is not supported by this depot"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b'{"query": 5}', 400),
        (b'{"query": "{"}', 400),
        (b'{"query": "{ viewer { id } }", "variables": []}', 200),
        (b'{"query": "{ viewer { id } }", "variables": [1]}', 400),
        (b'{"query": "query($x: Int!) { viewer { id } }", "variables": {"x": "no"}}', 400),
        (b'{"query": "{ ...A } fragment A on Query { ...A }"}', 400),
        (b"[" * 100_000, 400),
        (json.dumps({"query": "{ entity { user { teams" + "{ edges { node { user { teams" * 8 + "{ edges { node { id "
                     + "} } } } } " * 8 + "} } } } } }"}).encode(), 400),
        (b'{"query": "{ viewer { id } }", "operationName": "Nope"}', 400),
    ],
)  # fmt: skip
def test_a_malformed_request_is_an_error_of_the_client(client: Client, body: bytes, status: int) -> None:
    """Whatever is sent, the answer is JSON with a message, and no 500."""
    reply = client.keyed("POST", "/graphql", body)
    assert reply.status == status
    if status != 200:
        assert all(_messages(reply))


def test_probes_of_old_clients_are_never_null(client: Client) -> None:
    """They read the lists of a type without looking whether it is there; only LaunchAgent may be missing."""
    text = """query Probe { q: __type(name: "Query") { ...fieldData } m: __type(name: "Mutation") { ...fieldData }
      s: __type(name: "ServerSettings") { ...fieldData } f: __type(name: "CreateRunFilesInput") { inputFields { name } }
      n: __type(name: "CreateRunQueueInput") { inputFields { name } } LaunchAgentType: __type(name: "LaunchAgent") {
      ...fieldData } } fragment fieldData on __Type { fields { name args { name } } }"""
    data = client.query(text).json["data"]
    names = {alias: [field["name"] for field in found["fields"]] for alias, found in data.items() if alias in "qms"}
    assert {"serverInfo", "viewer", "clientIDMapping"} <= set(names["q"])
    arguments = {field["name"]: [each["name"] for each in field["args"]] for field in data["q"]["fields"]}
    assert (arguments["project"], arguments["viewer"]) == (["name", "entityName"], [])
    assert "createRunFiles" in names["m"]
    assert "upsertView" not in names["m"]
    assert "probe" not in names["q"]
    assert names["s"] == []
    assert {field["name"] for field in data["f"]["inputFields"]} == {"entityName", "projectName", "runName", "files"}
    assert (data["n"], data["LaunchAgentType"]) == ({"inputFields": []}, None)


def test_opening_a_run_makes_its_project_and_a_name(client: Client, project: str) -> None:
    """A null leaves alone, an empty text counts as nothing, the second opening finds the same run."""
    bucket = client.open_run(project, "r1", entityName="", tags=["a"], config='{"x": {"value": NaN}}')
    assert bucket["project"] == {"name": project, "entity": {"name": "tester"}}
    assert bucket["displayName"].count("-") == 2
    assert (bucket["state"], bucket["config"]) == ("running", '{"x": {"value": NaN}}')
    again = client.open_run(project, "r1", displayName="", tags=None)
    assert (again["id"], again["displayName"], again["tags"]) == (bucket["id"], bucket["displayName"], ["a"])


def test_an_edit_by_id_creates_nothing(client: Client) -> None:
    """An id that nobody has is a 404, not a run with a strange name."""
    text = 'mutation { upsertBucket(input: {id: "UnVuOnYxOm5vOm5vOm5v", notes: "x"}) { bucket { id } } }'
    reply = client.query(text)
    assert reply.status == 404
    assert "not found" in _messages(reply)[0]


def test_an_edit_by_id_keeps_the_state(client: Client, project: str) -> None:
    """`wandb.Api` edits finished runs, and they stay finished."""
    bucket = client.open_run(project, "r1")
    client.stream(project, "r1", {"complete": True, "exitcode": 0})
    text = (
        """mutation($i: UpsertBucketInput!) { upsertBucket(input: $i) { bucket { state notes historyLineCount } } }"""
    )
    reply = client.query(text, {"i": {"id": bucket["id"], "notes": "n"}})
    assert reply.json["data"]["upsertBucket"]["bucket"] == {"state": "finished", "notes": "n", "historyLineCount": 0}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"tags": ["x" * 65]}, f"invalid tag '{'x' * 65}'. must be between 1 and 64 characters"),
        ({"tags": ["fine", ""]}, "invalid tag ''. must be between 1 and 64 characters"),
        ({"jobType": "x" * 65}, "invalid parameters: 64 limit exceeded for JobType"),
        ({"name": "a/b"}, "invalid run id"),
        ({"modelName": "a/b"}, "invalid project name"),
        ({"config": "{"}, "config is not JSON"),
        ({"config": "[1]"}, "config is not a JSON object"),
    ],
)
def test_what_a_run_may_not_be_called_is_refused(client: Client, fields: dict[str, Any], text: str) -> None:
    """400 with a sentence that names the rule."""
    variables = {"i": {"name": "r1", "modelName": "p", **fields}}
    reply = client.query("mutation($i: UpsertBucketInput!) { upsertBucket(input: $i) { inserted } }", variables)
    assert reply.status == 400
    assert text in _messages(reply)[0]


_RESUME = """query RunResumeStatus($p: String, $e: String, $n: String!) { model(name: $p, entityName: $e) { id name
  entity { id name } bucket(name: $n, missingOk: true) { id name summaryMetrics displayName logLineCount
  historyLineCount eventsLineCount historyTail eventsTail config tags notes wandbConfig(keys: ["t"]) } } }"""


def test_opening_and_resuming_are_told_the_true_counts(client: Client, project: str) -> None:
    """The engine numbers a session's history from there; a smaller number would overwrite the sessions before it."""
    missing = client.query(_RESUME, {"p": project, "e": None, "n": "r1"})
    assert missing.json == {"data": {"model": None}}
    client.open_run(project, "r1", config='{"_wandb": {"value": {"t": {"1": [1]}, "m": []}}}')
    content = ['{"_step":0}', '{"_step":1,"a":NaN}']
    client.stream(project, "r1", {"files": {"wandb-history.jsonl": {"offset": 0, "content": content}}})
    bucket = client.query(_RESUME, {"p": project, "e": None, "n": "r1"}).json["data"]["model"]["bucket"]
    counts = [bucket[name] for name in ("historyLineCount", "eventsLineCount", "logLineCount")]
    assert (counts, json.loads(bucket["wandbConfig"])) == ([2, 0, 0], {"t": {"1": [1]}})
    assert json.loads(bucket["historyTail"]) == ['{"_step":1,"a":NaN}']
    assert json.loads(bucket["eventsTail"]) == ["{}"]
    assert client.open_run(project, "r1")["historyLineCount"] == 2


def test_rewinding_forgets_what_came_after_the_step(client: Client, project: str) -> None:
    """The answer's count is where the client goes on."""
    client.open_run(project, "r1")
    content = [f'{{"_step":{step}}}' for step in range(0, 20, 2)]
    client.stream(project, "r1", {"files": {"wandb-history.jsonl": {"offset": 0, "content": content}}})
    text = """mutation($p: String!) { rewindRun(input: {runName: "r1", entityName: "", projectName: $p,
        metricName: "_step", metricValue: 5.0}) { rewoundRun { historyLineCount historyTail } } }"""
    data = client.query(text, {"p": project}).json["data"]["rewindRun"]["rewoundRun"]
    assert (data["historyLineCount"], json.loads(data["historyTail"])) == (3, ['{"_step":4}'])


def test_what_a_document_changes_it_counts_anew(client: Client, project: str) -> None:
    """Its parts are carried out one after another: the second answer is about what the first has left."""
    client.open_run(project, "r1")
    content = [f'{{"_step":{step}}}' for step in range(3)]
    client.stream(project, "r1", {"files": {"wandb-history.jsonl": {"offset": 0, "content": content}}})
    text = """mutation($p: String!) {
        upsertBucket(input: {name: "r1", modelName: $p}) { bucket { historyLineCount } }
        rewindRun(input: {runName: "r1", entityName: "", projectName: $p, metricName: "_step", metricValue: 1.0})
        { rewoundRun { historyLineCount } } }"""
    data = client.query(text, {"p": project}).json["data"]
    assert data["upsertBucket"]["bucket"]["historyLineCount"] == 3
    assert data["rewindRun"]["rewoundRun"]["historyLineCount"] == 2
    assert client.run_field(project, "r1", "historyLineCount eventsLineCount logLineCount") == {
        "historyLineCount": 2, "eventsLineCount": 0, "logLineCount": 0
    }  # fmt: skip


def test_a_deleted_run_is_gone_and_its_id_taken(client: Client, project: str) -> None:
    """Not found for readers, 404 for its lines; whoever opens it is told at once: clients ask for 90 s after a 409."""
    bucket = client.open_run(project, "r1")
    delete = "mutation($i: ID!) { deleteRun(input: {id: $i}) { clientMutationId } }"
    assert client.query(delete, {"i": bucket["id"]}).status == 200
    assert client.run_field(project, "r1", "id") is None
    again = 'mutation($p: String) { upsertBucket(input: {name: "r1", modelName: $p}) { inserted } }'
    reply = client.query(again, {"p": project})
    assert (reply.status, "previously created and deleted" in _messages(reply)[0]) == (400, True)
    assert client.stream(project, "r1", {}).status == 404


def test_runs_are_listed_by_filters_and_order(client: Client, project: str) -> None:
    """Filters in MongoDB's style, order by any field, pages by cursor, runs without the key last."""
    for number, lr in enumerate([0.3, 0.1, None, 0.2]):
        config = json.dumps({} if lr is None else {"lr": {"value": lr}, "a.b": {"value": {"c": number}}})
        client.open_run(project, f"r{number}", config=config, tags=[f"t{number % 2}"], groupName="g",
                        summaryMetrics=json.dumps({"loss": number}))  # fmt: skip

    def listed(filters: Any = None, order: str | None = None, **more: Any) -> list[str]:
        text = """query($p: String!, $f: JSONString, $o: String, $first: Int, $after: String) { project(name: $p) {
            runCount(filters: $f) runs(filters: $f, order: $o, first: $first, after: $after) {
            edges { cursor node { name } } pageInfo { endCursor hasNextPage } } } }"""
        variables = {"p": project, "f": None if filters is None else json.dumps(filters), "o": order, **more}
        return [edge["node"]["name"] for edge in client.query(text, variables).json["data"]["project"]["runs"]["edges"]]

    assert listed() == ["r0", "r1", "r2", "r3"]
    assert listed(order="-created_at") == ["r3", "r2", "r1", "r0"]
    assert listed(order="+config.lr.value") == ["r1", "r3", "r0", "r2"]
    assert listed(order="-config.lr") == ["r0", "r3", "r1", "r2"]
    assert listed(order="-summary_metrics.loss", first=2) == ["r3", "r2"]
    assert listed(order="-summary_metrics.loss", first=2, after="2") == ["r1", "r0"]
    assert listed({"config.lr.value": {"$gte": 0.2}}) == ["r0", "r3"]
    assert listed({"$or": [{"config.lr": 0.1}, {"summary_metrics.loss": 3}]}) == ["r1", "r3"]
    assert listed({"$or": []}) == ["r0", "r1", "r2", "r3"]
    assert listed({"tags": "t1"}) == ["r1", "r3"]
    assert listed({"tags": {"$in": ["t0", "zzz"]}}) == ["r0", "r2"]
    assert listed({"config.a.b.c": 3}) == ["r3"]
    assert listed({"display_name": {"$regex": "-3$"}, "state": "running", "group": "g"}) == ["r2"]
    assert listed({"config.lr": {"$exists": False}}) == ["r2"]
    assert listed({"$not": {"config.lr": {"$lt": 0.25}}}) == ["r0", "r2"]
    assert listed({"config.lr": {"$gt": "text"}}) == []


def test_alerts_are_taken(client: Client, project: str) -> None:
    """An alert of a run that there is succeeds; of one that there is not is a 404."""
    client.open_run(project, "r1")
    text = """mutation($r: String!, $p: String!) { notifyScriptableRunAlert(input: {entityName: "tester",
        projectName: $p, runName: $r, title: "t", text: "x", severity: WARN, waitDuration: 60000}) { success } }"""
    assert client.query(text, {"p": project, "r": "r1"}).json["data"]["notifyScriptableRunAlert"] == {"success": True}
    assert client.query(text, {"p": project, "r": "r2"}).status == 404


def test_deleting_a_deleted_run_is_no_error(client: Client, project: str) -> None:
    """The request may come twice; one for a run that never was is a 404."""
    bucket = client.open_run(project, "r1")
    text = "mutation($i: ID!) { deleteRun(input: {id: $i}) { clientMutationId } }"
    assert [client.query(text, {"i": bucket["id"]}).status for _ in range(2)] == [200, 200]
    assert client.query(text, {"i": "UnVuOnYxOm5vOm5vOm5v"}).status == 404


def test_a_run_that_is_asked_to_stop_hears_of_it(client: Client, project: str) -> None:
    """With the next answer to its lines, until it is opened again."""
    bucket = client.open_run(project, "r1")
    assert "stopped" not in client.stream(project, "r1", {}).json
    assert client.query("mutation($i: ID!) { stopRun(input: {id: $i}) { success } }", {"i": bucket["id"]}).status == 200
    assert client.stream(project, "r1", {}).json["stopped"] is True
    client.open_run(project, "r1")
    assert "stopped" not in client.stream(project, "r1", {}).json


def test_a_state_that_the_run_has_already_is_refused(client: Client, project: str) -> None:
    """400 with the words by which clients know it."""
    bucket = client.open_run(project, "r1")
    text = 'mutation($i: ID!) { updateRunState(input: {id: $i, state: "failed"}) { success } }'
    assert client.query(text, {"i": bucket["id"]}).status == 200
    reply = client.query(text, {"i": bucket["id"]})
    assert (reply.status, "invalid state transition" in _messages(reply)[0]) == (400, True)


def _fork(client: Client, project: str, name: str, parent: str, step: int) -> Any:
    config = {"_wandb": {"value": {"branch_point": {"run_id": parent, "step": step}}}}
    return client.open_run(project, name, config=json.dumps(config))


def _said(client: Client, project: str, name: str) -> list[Any]:
    rows = client.run_field(project, name, "history(minStep: 0, maxStep: 99)")["history"]
    return [json.loads(row)["said"] for row in rows]


def _say(client: Client, project: str, name: str, first_step: int, said: list[str]) -> None:
    rows = [json.dumps({"_step": step, "said": word}) for step, word in enumerate(said, first_step)]
    body = {"files": {"wandb-history.jsonl": {"offset": 0, "content": rows}}}
    assert client.stream(project, name, body).status == 200


def test_a_fork_shows_its_parents_rows_before_its_own(client: Client, project: str) -> None:
    """Its own lines are numbered from 0, as clients number them; a fork of a fork has the rows of both."""
    client.open_run(project, "a")
    _say(client, project, "a", 0, ["a0", "a1", "a2", "a3"])
    assert _fork(client, project, "b", "a", 2)["historyLineCount"] == 0
    assert _fork(client, project, "b", "a", 2)["historyLineCount"] == 0  # the client asks again
    _say(client, project, "b", 3, ["b3", "b4"])
    assert _said(client, project, "b") == ["a0", "a1", "a2", "b3", "b4"]
    _fork(client, project, "c", "b", 3)
    _say(client, project, "c", 4, ["c4"])
    assert _said(client, project, "c") == ["a0", "a1", "a2", "b3", "c4"]
    assert _said(client, project, "a") == ["a0", "a1", "a2", "a3"]
    assert client.run_field(project, "c", "historyLineCount") == {"historyLineCount": 1}


def test_a_fork_is_rewound_behind_where_it_parted(client: Client, project: str) -> None:
    """What it had of its parent after the step goes too; its parent keeps it."""
    client.open_run(project, "a")
    _say(client, project, "a", 0, ["a0", "a1", "a2"])
    _fork(client, project, "b", "a", 2)
    _say(client, project, "b", 3, ["b3"])
    text = """mutation($i: RewindRunInput!) { rewindRun(input: $i) { rewoundRun { historyLineCount } } }"""
    fields = {"entityName": "tester", "projectName": project, "runName": "b", "metricName": "_step", "metricValue": 0}
    reply = client.query(text, {"i": fields})
    assert reply.json["data"]["rewindRun"]["rewoundRun"] == {"historyLineCount": 0}
    _say(client, project, "b", 1, ["new"])
    assert _said(client, project, "b") == ["a0", "new"]
    assert _said(client, project, "a") == ["a0", "a1", "a2"]


def test_there_are_no_reports_automations_and_integrations(client: Client, project: str) -> None:
    """The SDK looks for them in the projects of who asks; it takes a missing list for an answer that is broken."""
    client.open_run(project, "r1")
    text = """query($p: String!) { project(name: $p, entityName: "tester") { allViews { edges { node { id } } }
        triggers { id name } } entity(name: "tester") { integrations { edges { node { __typename } } } }
        viewer { projects(first: 1000) { edges { node { name } } } } }"""
    found = client.query(text, {"p": project}).json["data"]
    assert found["project"] == {"allViews": {"edges": []}, "triggers": []}
    assert found["entity"] == {"integrations": {"edges": []}}
    assert project in [edge["node"]["name"] for edge in found["viewer"]["projects"]["edges"]]
