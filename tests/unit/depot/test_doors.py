"""Every door of the depot, with every role: each route and each GraphQL root has its rule here, or a test fails."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, get_type_hints
from uuid import uuid4

import pytest
from starlette.routing import Mount, Route

from backhaul.depot import Depot, Place, Role, User, access, new_key
from backhaul.depot.graphql.schema import RESOLVERS, load_schema
from backhaul.depot.store.interface import Artifacts, Store, Sweeps
from backhaul.depot.store.sql_store import SqlStore

from .conftest import Client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import DepotProcess

_MARK = "cobalt-otter"
"""Stands in names and values of the lab's run: whoever may not see it must not find it in any answer."""

_MD5 = base64.b64encode(hashlib.md5(b"content").digest()).decode()
_MANIFEST = json.dumps({"version": 1, "contents": {"f.txt": {"digest": _MD5, "size": 7}}}).encode()
_MANIFEST_MD5 = base64.b64encode(hashlib.md5(_MANIFEST).digest()).decode()


class Lab:
    """A team `lab` with one run and one artifact, and people who belong to it or do not."""

    def __init__(self, depot: DepotProcess) -> None:
        self.url = depot.url
        self.people = uuid4().hex[:8]
        self.name = f"lab-{uuid4().hex[:8]}"
        self.place = {"entityName": self.name, "projectName": "p"}
        self.clients = {"operator": Client(depot.url, depot.api_key), "nobody": Client(depot.url, "")}
        with Depot.users_of(depot.place) as users:
            for who, role, teams in (("admin", Role.ADMIN, []), ("member", Role.MEMBER, [self.name]),
                                     ("viewer", Role.VIEWER, [self.name]), ("stranger", Role.MEMBER, [])):  # fmt: skip
                key = new_key()
                users.put(User(f"{who}-{self.people}", role, frozenset(teams)), key)
                self.clients[who] = Client(depot.url, key)
        self._fill()

    def _fill(self) -> None:
        member = self.clients["member"]
        fields = {"entityName": self.name, "displayName": _MARK, "config": json.dumps({_MARK: {"value": 1}})}
        self.run_id = member.open_run("p", "r1", **fields)["id"]
        body = {"files": {"wandb-history.jsonl": {"offset": 0, "content": [json.dumps({"_step": 0, _MARK: 1})]}}}
        assert member.keyed("POST", f"/files/{self.name}/p/r1/file_stream", json.dumps(body).encode()).status == 200
        file = self.mutate("member", "createRunFiles", {**self.place, "runName": "r1", "files": ["a.txt"]},
                           "files { id uploadUrl }")["files"][0]  # fmt: skip
        assert member.request("PUT", file["uploadUrl"], _MARK.encode()).status == 200
        self.file_id = file["id"]
        self._bring_artifact()
        self._sweep()

    def _sweep(self) -> None:
        made = self.mutate("member", "upsertSweep", self.search, "sweep { id name }")["sweep"]
        self.sweep_id, self.sweep_name = made["id"], made["name"]
        agent = {**self.place, "host": "h", "sweep": self.sweep_name}
        self.agent_id = self.mutate("member", "createAgent", agent, "agent { id }")["agent"]["id"]

    @property
    def search(self) -> dict[str, Any]:
        """What `upsertSweep` takes."""
        config = json.dumps({"method": "random", "parameters": {"lr": {"values": [1]}}})
        return {**self.place, "config": config, "description": _MARK}

    def _bring_artifact(self) -> None:
        made = self.mutate("member", "createArtifact", self.draft, "artifact { id artifactSequence { id } }")
        self.artifact_id, self.series_id = made["artifact"]["id"], made["artifact"]["artifactSequence"]["id"]
        spec = {"artifactID": self.artifact_id, "name": "f.txt", "md5": _MD5}
        files = self.mutate("member", "createArtifactFiles", {"artifactFiles": [spec]}, "files{edges{node{uploadUrl}}}")
        self._put(files["files"]["edges"][0]["node"]["uploadUrl"], b"content")
        manifest = self.mutate("member", "createArtifactManifest", self.manifest,
                               "artifactManifest { id file { uploadUrl } }")["artifactManifest"]  # fmt: skip
        self._put(manifest["file"]["uploadUrl"], _MANIFEST)
        self.manifest_id = manifest["id"]
        self.mutate("member", "commitArtifact", {"artifactID": self.artifact_id})
        linked = self.mutate("member", "linkArtifact", self.link, "artifactMembership { artifactCollection { id } }")
        self.portfolio_id = linked["artifactMembership"]["artifactCollection"]["id"]

    @property
    def draft(self) -> dict[str, Any]:
        """What `createArtifact` takes."""
        return {**self.place, "runName": "r1", "artifactTypeName": "dataset", "artifactCollectionName": "ds",
                "digest": "d" * 32, "digestAlgorithm": "MANIFEST_MD5", "clientID": f"c-{self.name}",
                "description": _MARK}  # fmt: skip

    @property
    def manifest(self) -> dict[str, Any]:
        """What `createArtifactManifest` takes."""
        return {"artifactID": self.artifact_id, "name": "wandb_manifest.json", "digest": _MANIFEST_MD5,
                **self.place, "runName": "r1"}  # fmt: skip

    @property
    def link(self) -> dict[str, Any]:
        """What `linkArtifact` takes."""
        return {**self.place, "artifactPortfolioName": "best", "artifactID": self.artifact_id, "aliases": []}

    def ask(self, who: str, text: str, variables: dict[str, Any]) -> Any:
        """One GraphQL request of somebody."""
        return self.clients[who].query(text, variables)

    def send(self, who: str, name: str, fields: dict[str, Any], answer: str = "__typename") -> Any:
        """One mutation of somebody."""
        kind = _MUTATIONS[name].args["input"].type
        return self.ask(who, f"mutation($i: {kind}) {{ {name}(input: $i) {{ {answer} }} }}", {"i": fields})

    def mutate(self, who: str, name: str, fields: dict[str, Any], answer: str = "__typename") -> Any:
        """The answer to a mutation that is carried out."""
        reply = self.send(who, name, fields, answer)
        assert reply.status == 200, reply.body
        return reply.json["data"][name]

    def file_is_there(self) -> bool:
        """Whether the run still has its file."""
        return self.clients["member"].keyed("GET", f"/files/{self.name}/p/r1/a.txt").status == 200

    def _put(self, address: str, data: bytes) -> None:
        assert self.clients["member"].request("PUT", address, data).status == 200

    def cookie(self, who: str) -> str:
        """What a browser holds after it signed in with somebody's key."""
        form = f"key={self.clients[who].api_key}".encode()
        return self.clients[who].request("POST", "/login", form).headers["set-cookie"].partition(";")[0]


_SCHEMA = load_schema()
assert _SCHEMA.mutation_type is not None
_MUTATIONS = _SCHEMA.mutation_type.fields


@pytest.fixture(scope="module")
def lab(depot: DepotProcess) -> Lab:
    """One for all the tests that leave it as it is."""
    return Lab(depot)


@pytest.fixture
def own_lab(depot: DepotProcess) -> Lab:
    """One for a test that changes it."""
    return Lab(depot)


_MEMBERS = ("operator", "admin", "member")


def _statuses(**each: int) -> dict[str, int]:
    """What each role is answered: `inside` those who do all there, then who reads there, another user, and no user."""
    return {**dict.fromkeys(_MEMBERS, each["inside"]), "viewer": each["viewer"], "stranger": each["stranger"],
            "nobody": each["nobody"]}  # fmt: skip


_READ = _statuses(inside=200, viewer=200, stranger=404, nobody=401)
_WRITE = _statuses(inside=200, viewer=403, stranger=404, nobody=401)
_SIGNED = _statuses(inside=403, viewer=403, stranger=403, nobody=403)
_OPEN = _statuses(inside=200, viewer=200, stranger=200, nobody=200)
_PAGE = _statuses(inside=200, viewer=200, stranger=404, nobody=303)
_TWIN = _statuses(inside=200, viewer=200, stranger=404, nobody=401)
_OWN_PAGE = _statuses(inside=200, viewer=200, stranger=200, nobody=303)
_OWN_TWIN = _statuses(inside=200, viewer=200, stranger=200, nobody=401)

_PLACE = "/{entity}/{project}"
_DOORS: dict[tuple[str, str], dict[str, int]] = {
    ("POST", "/files" + _PLACE + "/{run}/file_stream"): _WRITE,
    ("GET", "/:files" + _PLACE + "/{run}/{path:path}"): _READ,
    ("GET", "/files" + _PLACE + "/{run}/{path:path}"): _READ,
    ("PUT", "/:storage" + _PLACE + "/{run}/{path:path}"): _SIGNED,
    ("GET", "/:storage" + _PLACE + "/{run}/{path:path}"): _SIGNED,
    ("GET", "/artifactsV2/{region}/{entity}/{project}/{collection}/{birth}/{md5}/{name:path}"): _READ,
    ("PUT", "/storage" + _PLACE + "/{run}/{path:path}"): _SIGNED,
    ("GET", "/storage" + _PLACE + "/{run}/{path:path}"): _SIGNED,
    ("PUT", "/wandb_artifacts/{project_id:int}/{artifact_id:int}/{md5}"): _SIGNED,
    ("GET", "/wandb_artifacts/{project_id:int}/{artifact_id:int}/{md5}"): _SIGNED,
    ("PUT", "/uploads/{upload:int}/{number:int}"): _SIGNED,
    ("PUT", "/manifests/{manifest_id:int}/wandb_manifest.json"): _SIGNED,
    ("GET", "/manifests/{manifest_id:int}/wandb_manifest.json"): _SIGNED,
    ("GET", "/healthz"): _OPEN,
    ("POST", "/sdk/otel/v1/{signal}"): _OPEN,
    ("GET", "/login"): _OPEN,
    ("POST", "/logout"): _statuses(inside=303, viewer=303, stranger=303, nobody=303),
    ("POST", "/login"): _statuses(inside=403, viewer=403, stranger=403, nobody=403),  # a form without a key
    ("GET", "/"): _OWN_PAGE,
    ("GET", "/?format=json"): _OWN_TWIN,
    ("GET", _PLACE + "/runs/{run}/series"): _TWIN,
    ("GET", _PLACE + "/runs/{run}/state"): _TWIN,
}
"""Routes and what they answer. `/graphql` has its tables below; pages of an entity are told by their path."""


_AS_JSON = "?format=json"


def _rule(method: str, path: str) -> dict[str, int]:
    """The rule of a route: pages and twins under an entity need no entry, everything else does."""
    if (method, path) not in _DOORS and method == "GET" and path.startswith(_PLACE):
        return _TWIN if path.endswith(_AS_JSON) else _PAGE
    return _DOORS[method, path]


def _routes(tmp_path: Path) -> list[tuple[str, str]]:
    depot = Depot(Place(tmp_path), entity="tester")
    try:
        routes = depot.app().routes
        assert [each.path for each in routes if isinstance(each, Mount)] == ["/:static"]
        plain = [each for each in routes if isinstance(each, Route) and each.path != "/graphql"]
        assert len(plain) + 2 == len(routes)
        found = [(method, each.path) for each in plain for method in sorted((each.methods or set()) - {"HEAD"})]
        return found + [(method, path + _AS_JSON) for method, path in found if _has_twin(method, path)]
    finally:
        depot.close()


def _has_twin(method: str, path: str) -> bool:
    return method == "GET" and (path == "/" or (path.startswith(_PLACE) and (method, path) not in _DOORS))


def _filled(lab: Lab, path: str) -> str:
    md5 = base64.b64decode(_MD5).hex()
    parts = {"entity": lab.name, "project": "p", "run": "r1", "path": "a.txt", "region": "default", "md5": md5,
             "collection": "ds", "birth": "1", "name": "f.txt", "project_id": "1", "artifact_id": "1",
             "manifest_id": "1", "upload": "1", "number": "1", "type": "dataset", "version": "v0",
             "signal": "metrics"}  # fmt: skip
    return re.sub(r"{(\w+)(:\w+)?}", lambda found: parts[found[1]], path)


def test_every_route_answers_each_role_by_its_rule(lab: Lab, tmp_path: Path) -> None:
    """A route that nobody gave a rule fails here; a stranger finds nothing of the lab in any answer."""
    cookies = {who: lab.cookie(who) for who in lab.clients if who != "nobody"}
    for method, path in _routes(tmp_path):
        rule, address = _rule(method, path), _filled(lab, path)
        for who, client in lab.clients.items():
            keyed = "entity" not in path or path.startswith(
                ("/:files", "/:storage", "/files", "/artifactsV2", "/storage")
            )
            shown = {"Authorization": client.authorization} if keyed and rule not in (_OWN_PAGE, _OWN_TWIN) else {}
            if not shown and who in cookies:
                shown = {"Cookie": cookies[who]}
            reply = client.request(method, address, b"{}" if method != "GET" else None, shown)
            assert (method, path, who, reply.status) == (method, path, who, rule[who]), reply.body
            if who in ("stranger", "nobody"):
                assert _MARK.encode() not in reply.body


def test_a_cookie_opens_nothing_that_changes_something(lab: Lab, tmp_path: Path) -> None:
    """Only keys do: no form on another site can make a browser write."""
    cookie = {"Cookie": lab.cookie("operator")}
    for method, path in [*_routes(tmp_path), ("POST", "/graphql")]:
        if method != "GET" and path not in ("/login", "/logout", "/sdk/otel/v1/{signal}"):
            status = lab.clients["operator"].request(method, _filled(lab, path), b"{}", cookie).status
            assert (path, status) in ((path, 401), (path, 403))


_DEEP = """id name runCount createdAt entity { name } runs(first: 5) { edges { node { id displayName config
    history files(names: ["a.txt"]) { edges { node { url directUrl } } } } } } run(name: "r1") { displayName
    outputArtifacts { edges { node { description } } } } artifactTypes { edges { node { name } } }
    artifact(name: "ds:latest") { description } artifactCollections { edges { node { id name } } }
    sweeps { edges { node { description agents { edges { node { id } } } } } }"""
_QUERIES: dict[str, str] = {
    "viewer": "viewer { username teams { edges { node { name } } } }",
    "serverInfo": "serverInfo { features { name } }",
    "project": f'project(name: "p", entityName: "LAB") {{ {_DEEP} }}',
    "model": f'model(name: "p", entityName: "LAB") {{ {_DEEP} }}',
    "models": f"models {{ edges {{ node {{ {_DEEP} }} }} }}",
    "entity": 'entity(name: "LAB") { id projects { edges { node { name } } } }',
    "organization": 'organization(name: "LAB") { id }',
    "artifact": 'artifact(id: "ARTIFACT") { description artifactSequence { project { name } } usedBy { edges { node {'
    " name } } } createdBy { __typename } }",
    "artifactCollection": 'artifactCollection(id: "SERIES") { name project { name } }',
    "clientIDMapping": 'clientIDMapping(clientID: "c-LAB") { serverID }',
    "users": "users { edges { node { name } } }",
}


def test_no_query_shows_a_stranger_anything(lab: Lab) -> None:
    """Each root of the schema that is answered; those who belong there do find it."""
    assert set(_QUERIES) == set(RESOLVERS["Query"])
    for text in _QUERIES.values():
        for word, value in (("LAB", lab.name), ("ARTIFACT", lab.artifact_id), ("SERIES", lab.series_id)):
            text = text.replace(word, value)
        told = {who: lab.ask(who, f"{{ {text} }}", {}) for who in lab.clients}
        assert told["nobody"].status == 401
        assert {told[who].status for who in (*_MEMBERS, "viewer")} == {200}
        assert told["stranger"].status in (200, 404)
        shown = told["stranger"].json.get("data") or {}
        assert not re.search(f"{_MARK}|{lab.name}|{lab.artifact_id}", json.dumps(shown)), shown
        if _DEEP in text:
            assert all(_MARK in told[who].body.decode() for who in (*_MEMBERS, "viewer"))


def test_no_query_gives_a_viewer_an_address_to_write_to(lab: Lab) -> None:
    """Old engines ask for upload addresses in a query; those who only read get the files, and no such address."""
    text = """query($e: String!) { project(name: "p", entityName: $e) { run(name: "r1") {
        files(names: ["a.txt"]) { edges { node { url(upload: %s) } } } } } }"""
    assert lab.ask("viewer", text % "false", {"e": lab.name}).status == 200
    refused = lab.ask("viewer", text % "true", {"e": lab.name})
    assert (refused.status, refused.json["errors"][0]["message"]) == (403, "permission denied")
    assert lab.ask("member", text % "true", {"e": lab.name}).status == 200


def _changes(lab: Lab) -> dict[str, dict[str, Any]]:
    """Each mutation with an input that works for a member, in an order in which all of them do."""
    run = {**lab.place, "runName": "r1"}
    artifact = {"artifactID": lab.artifact_id}
    alias = {"aliases": [{**lab.place, "artifactCollectionName": "ds", "alias": "good"}]}
    tags = {**lab.place, "artifactCollectionName": "ds", "tags": [{"tagName": "t"}]}
    series, portfolio = {"artifactSequenceID": lab.series_id}, {"artifactPortfolioID": lab.portfolio_id}
    return {
        "upsertBucket": {"name": "r1", "modelName": "p", "entityName": lab.name},
        "upsertModel": {"name": "p2", "entityName": lab.name},
        "createRunFiles": {**run, "files": ["b.txt"]},
        "markRunFilesUploaded": {**run, "files": ["b.txt"]},
        "notifyScriptableRunAlert": {**run, "title": "t", "text": "x"},
        "rewindRun": {**run, "metricName": "_step", "metricValue": 0.0},
        "stopRun": {"id": lab.run_id},
        "updateRunState": {"id": lab.run_id, "state": "failed"},
        "createArtifactType": {**lab.place, "name": "model"},
        "createArtifact": lab.draft,
        "createArtifactManifest": lab.manifest,
        "updateArtifactManifest": {"artifactManifestID": lab.manifest_id, "digest": _MANIFEST_MD5},
        "createArtifactFiles": {"artifactFiles": [{**artifact, "name": "f.txt", "md5": _MD5}]},
        "completeMultipartUploadArtifact": {**artifact, "completeMultipartAction": "Complete", "completedParts": [],
                                            "storagePath": f"x/{base64.b64decode(_MD5).hex()}",
                                            "uploadID": base64.b64encode(b"Upload:1").decode()},
        "upsertSweep": lab.search,
        "createAgent": {**lab.place, "host": "h", "sweep": lab.sweep_name},
        "agentHeartbeat": {"id": lab.agent_id},
        "commitArtifact": artifact,
        "useArtifact": {**run, **artifact},
        "updateArtifact": {**artifact, "description": "x"},
        "linkArtifact": lab.link,
        "addAliases": {**artifact, **alias},
        "deleteAliases": {**artifact, **alias},
        "updateArtifactSequence": {**series, "description": "x"},
        "updateArtifactPortfolio": {**portfolio, "description": "x"},
        "moveArtifactSequence": {**series, "destinationArtifactTypeName": "dataset"},
        "createArtifactCollectionTagAssignments": tags,
        "deleteArtifactCollectionTagAssignments": tags,
        "deleteFiles": {"files": [lab.file_id]},
        "deleteRun": {"id": lab.run_id},
        "unlinkArtifact": {**artifact, **portfolio},
        "deleteArtifact": {**artifact, "deleteAliases": True},
        "deleteArtifactPortfolio": portfolio,
        "deleteArtifactSequence": series,
    }  # fmt: skip


def test_only_those_who_belong_there_and_may_write_change_anything(own_lab: Lab) -> None:
    """Each mutation: a viewer is refused, a stranger too or finds nothing, no key is no one; a member is let do it."""
    changes = _changes(own_lab)
    assert set(changes) == set(RESOLVERS["Mutation"])
    for name, fields in changes.items():
        viewer = own_lab.send("viewer", name, fields)
        assert (name, viewer.status) == (name, 403)
        assert viewer.json["errors"][0] == {
            "message": "permission denied",
            "path": [name],
            "extensions": {"code": "PERMISSION_ERROR"},
        }
        stranger = own_lab.send("stranger", name, fields)
        # To delete what is not there is no error, so that a request may come twice; the file stays.
        assert stranger.status in ((200,) if name == "deleteFiles" else (403, 404)), name
        assert name != "deleteFiles" or own_lab.file_is_there()
        assert own_lab.send("nobody", name, fields).status == 401
        assert (name, own_lab.send("member", name, fields).status) == (name, 200)


def test_a_stranger_cannot_take_a_version_by_the_id_that_its_client_gave_it(lab: Lab) -> None:
    """Client ids are made by clients, and may be known to others; the version behind one stays where it belongs."""
    mine = {**lab.draft, "entityName": f"stranger-{lab.people}", "runName": None, "description": "mine"}
    made = lab.mutate("stranger", "createArtifact", mine, "artifact { id description state }")["artifact"]
    assert (made["description"], made["state"]) == ("mine", "PENDING")
    assert made["id"] != lab.artifact_id


def test_every_method_of_the_store_has_a_rule() -> None:
    """A new one counts as a change until somebody says that it reads; one that takes an entity is guarded by itself."""
    writes = {
        "make_project", "open_run", "edit_run", "request_stop", "delete_run", "deliver", "truncate", "put_file",
        "delete_files", "add_alert", "create", "use", "commit", "edit", "set_aliases", "link", "unlink",
        "delete", "edit_collection", "delete_collection", "tag", "tag_collection", "make_manifest", "put_manifest",
        "put_content", "put_contents", "inherit", "put_stretch", "rely_on", "abandon", "drop_manifests", "strays",
        "settle", "deletions", "refresh_facets", "make", "make_agent", "beat", "propose",
    }  # fmt: skip
    guarded = {"get", "collection_of", "members", "count", "manifest", "artifacts", "sweeps", "agent"}
    methods = {name for part in (Store, Artifacts, Sweeps) for name in vars(part) if not name.startswith("_")}
    assert methods == writes | access.READS | guarded
    by_entity = {
        name for part in (Store, Artifacts, Sweeps) for name, method in vars(part).items()
        if callable(method) and "entity" in get_type_hints(method)
    }  # fmt: skip
    own = {name for part in (access._SeenStore, access._SeenArtifacts, access._SeenSweeps) for name in vars(part)}
    assert by_entity & writes <= own


@pytest.mark.parametrize("name", ["users", "uploads", "named_blobs", "redeem", "close", "_database"])
def test_what_is_nobodys_to_see_is_not_in_a_users_store(store: SqlStore, name: str) -> None:
    """Keys, parts of uploads and the store's own means are out of reach for whoever is no admin."""
    assert hasattr(store, name)
    assert not hasattr(access.seen_by(store, User("ada", Role.MEMBER)), name)
