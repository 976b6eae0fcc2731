"""How an artifact is brought, over HTTP: it is whole or it is not there."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from backhaul.depot import manifests
from backhaul.depot.refusal import Refused

from ...depot_client import Client

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

_MD5 = base64.b64encode(hashlib.md5(b"content").digest()).decode()
_MANIFEST = json.dumps({"version": 1, "contents": {"f.txt": {"digest": _MD5, "size": 7}}}).encode()
_MANIFEST_MD5 = base64.b64encode(hashlib.md5(_MANIFEST).digest()).decode()


@pytest.fixture
def client(any_depot: DepotProcess) -> Client:
    """A client of each kind of depot."""
    return Client(any_depot.url, any_depot.api_key)


def _ask(client: Client, text: str, **variables: Any) -> Any:
    reply = client.query(text, variables)
    assert reply.status == 200, reply.body
    return next(iter(reply.json["data"].values()))


def _create(client: Client, project: str, **more: Any) -> Any:
    text = "mutation($i: CreateArtifactInput!) { createArtifact(input: $i) { artifact { id state versionIndex } } }"
    fields = {
        "entityName": "tester",
        "projectName": project,
        "artifactTypeName": "dataset",
        "artifactCollectionName": "ds",
        "digest": "d" * 32,
        "digestAlgorithm": "MANIFEST_MD5",
        "aliases": [{"artifactCollectionName": "ds", "alias": "mine"}],
        "enableDigestDeduplication": True,
        **more,
    }
    return _ask(client, text, i=fields)["artifact"]


def _file_address(client: Client, artifact_id: str) -> str | None:
    text = """mutation($i: CreateArtifactFilesInput!) { createArtifactFiles(input: $i) { files { edges { node {
        uploadUrl uploadHeaders artifact { id } } } } } }"""
    spec = {"artifactID": artifact_id, "name": "f.txt", "md5": _MD5}
    found = _ask(client, text, i={"artifactFiles": [spec], "storageLayout": "V2"})
    return found["files"]["edges"][0]["node"]["uploadUrl"]  # type: ignore[no-any-return]


def _manifest_address(client: Client, project: str, artifact_id: str, digest: str = _MANIFEST_MD5) -> str:
    text = """mutation($i: CreateArtifactManifestInput!) { createArtifactManifest(input: $i) {
        artifactManifest { id file { uploadUrl } } } }"""
    fields = {"artifactID": artifact_id, "name": "wandb_manifest.json", "digest": digest, "entityName": "",
              "projectName": project, "runName": "r"}  # fmt: skip
    return str(_ask(client, text, i=fields)["artifactManifest"]["file"]["uploadUrl"])


def _commit(client: Client, artifact_id: str) -> Any:
    text = """mutation($a: ID!) { commitArtifact(input: {artifactID: $a}) { artifact { state versionIndex size
        fileCount aliases { alias } } } }"""
    return client.query(text, {"a": artifact_id})


def _shown(client: Client, project: str) -> Any:
    text = """query($p: String!) { project(name: $p) { artifactCollectionMembership(name: "ds:latest") { versionIndex
        files(first: 5) { edges { node { name directUrl } } } } artifactTypes { edges { node { name } } } } }"""
    return _ask(client, text, p=project)


def test_a_version_shows_when_it_is_committed_and_not_before(client: Client, project: str) -> None:
    """It cannot be committed until its manifest and every file arrived; then it has a number and its aliases."""
    artifact = _create(client, project)
    assert artifact == {"id": artifact["id"], "state": "PENDING", "versionIndex": None}
    assert _commit(client, artifact["id"]).status == 400
    assert client.bring(_manifest_address(client, project, artifact["id"]), _MANIFEST).status == 200
    early = _commit(client, artifact["id"])
    assert (early.status, "f.txt" in early.json["errors"][0]["message"]) == (400, True)
    assert _shown(client, project) == {"artifactCollectionMembership": None, "artifactTypes": {"edges": []}}
    address = _file_address(client, artifact["id"])
    assert address is not None
    assert client.bring(address, b"content").status == 200
    found = _commit(client, artifact["id"]).json["data"]["commitArtifact"]["artifact"]
    aliases = [{"alias": "latest"}, {"alias": "mine"}, {"alias": "v0"}]
    assert found == {"state": "COMMITTED", "versionIndex": 0, "size": 7, "fileCount": 1, "aliases": aliases}
    assert _commit(client, artifact["id"]).json["data"]["commitArtifact"]["artifact"] == found
    (edge,) = _shown(client, project)["artifactCollectionMembership"]["files"]["edges"]
    assert client.request("GET", edge["node"]["directUrl"]).body == b"content"


def test_bytes_that_are_here_are_not_asked_for_again(client: Client, project: str) -> None:
    """One project keeps equal bytes once; another project knows nothing of them."""
    first = _create(client, project)
    client.bring(_file_address(client, first["id"]) or "", b"content")
    assert _file_address(client, first["id"]) is None
    assert _file_address(client, _create(client, project, digest="e" * 32)["id"]) is None
    assert _file_address(client, _create(client, f"{project}-other")["id"]) is not None


def test_asking_twice_makes_one_version(client: Client, project: str) -> None:
    """The same client id is the same version, before and after the commit."""
    assert _create(client, project, clientID="c" * 128) == _create(client, project, clientID="c" * 128)


def test_without_deduplication_only_the_latest_version_is_found_again(client: Client, project: str) -> None:
    """Old SDKs log without asking for it, and promise no new version for what equals the latest."""

    def log(digest: str) -> tuple[str, int | None]:
        made = _create(client, project, digest=digest, enableDigestDeduplication=False)
        client.bring(_manifest_address(client, project, made["id"]), _MANIFEST)
        client.bring(_file_address(client, made["id"]) or "", b"content")
        _commit(client, made["id"])
        return made["state"], made["versionIndex"]

    old, new = "d" * 32, "e" * 32
    assert [log(digest) for digest in (old, new)] == [("PENDING", None)] * 2
    assert log(new) == ("COMMITTED", 1)
    assert log(old) == ("PENDING", None)


def test_other_bytes_than_announced_are_refused(client: Client, project: str) -> None:
    """Files and manifests must have the MD5 that their address was made for."""
    artifact = _create(client, project)
    file, manifest = _file_address(client, artifact["id"]), _manifest_address(client, project, artifact["id"])
    for address, announced in ((file, _MD5), (manifest, _MANIFEST_MD5)):
        reply = client.bring(address or "", b"something else", announced)
        assert (reply.status, b"BadDigest" in reply.body) == (400, True)


def test_addresses_of_artifacts_are_signed_too(client: Client, project: str) -> None:
    """Nothing of an artifact is read or written by a made-up address, or without the key."""
    artifact = _create(client, project)
    address = _file_address(client, artifact["id"]) or ""
    assert client.bring(address, b"content").status == 200
    assert _file_address(client, artifact["id"]) is None
    manifest = _manifest_address(client, project, artifact["id"])
    for method, made_up in [
        ("GET", address),
        ("PUT", address.partition("?")[0]),
        ("PUT", manifest.replace("/manifests/", "/manifests/1")),
        ("GET", manifest),
    ]:
        assert client.request(method, made_up, b"content" if method == "PUT" else None).status == 403
    entry = f"/artifactsV2/default/tester/{project}/ds/QXJ0aWZhY3Q6MQ%3D%3D/{hashlib.md5(b'content').hexdigest()}/f.txt"
    assert client.request("GET", entry).status == 401
    assert client.keyed("GET", entry).body == b"content"
    assert client.keyed("GET", entry.replace(project, f"{project}-other")).status == 404


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"contents": []}', b'{"contents": {"a": 1}}',
                                  b'{"contents": {"a": {"digest": "x", "size": 1}}}', b"[" * 99999,
                                  b'{"contents": {"a": {"ref": "s3://b/k", "size": 1e999}}}',
                                  b'{"contents": {"a": {"ref": "s3://b/k", "size": -1}}}'])  # fmt: skip
def test_a_malformed_manifest_is_refused(data: bytes) -> None:
    """It is never taken for an artifact without files."""
    with pytest.raises(Refused):
        manifests.parse(data)


@pytest.mark.parametrize("fields", [{"artifactCollectionName": "a/b"}, {"artifactTypeName": ""}, {"runName": "nobody"},
                                    {"aliases": [{"artifactCollectionName": "ds", "alias": "a:b"}]}])  # fmt: skip
def test_names_that_cannot_be_are_refused(client: Client, project: str, fields: dict[str, Any]) -> None:
    """400 or 404 with a sentence, never a 500."""
    text = "mutation($i: CreateArtifactInput!) { createArtifact(input: $i) { artifact { id } } }"
    base = {"entityName": "", "projectName": project, "artifactTypeName": "t", "artifactCollectionName": "ds",
            "digest": "d", "digestAlgorithm": "MANIFEST_MD5"}  # fmt: skip
    assert client.query(text, {"i": {**base, **fields}}).status in (400, 404)


def _bring(client: Client, project: str, digest: str = "d" * 32, **more: Any) -> str:
    """A committed version; its id."""
    made = str(_create(client, project, digest=digest, **more)["id"])
    address = _file_address(client, made)
    if address:
        assert client.bring(address, b"content").status == 200
    assert client.bring(_manifest_address(client, project, made), _MANIFEST).status == 200
    _commit(client, made)
    return made


def _link(client: Client, project: str, artifact: str, name: str = "best") -> Any:
    text = """mutation($i: LinkArtifactInput!) { linkArtifact(input: $i) { versionIndex artifactMembership {
        artifactCollection { __typename id name } } } }"""
    aliases = [{"artifactCollectionName": name, "alias": "prod"}]
    fields = {"artifactID": artifact, "artifactPortfolioName": name, "entityName": "tester", "projectName": project}
    return _ask(client, text, i=fields | {"aliases": aliases})


def _member(client: Client, project: str, name: str) -> Any:
    text = """query($p: String!, $n: String!) { project(name: $p, entityName: "tester") {
        artifactCollectionMembership(name: $n) { versionIndex artifact { id state tags { name } } } } }"""
    return _ask(client, text, p=project, n=name)["artifactCollectionMembership"]


def test_a_link_is_a_number_of_its_own_and_unlinking_keeps_the_version(client: Client, project: str) -> None:
    """A portfolio names versions of other collections; linking again changes nothing."""
    _bring(client, project)
    second = _bring(client, project, digest="e" * 32)
    made = _link(client, project, second)
    assert (made["versionIndex"], _link(client, project, second)["versionIndex"]) == (0, 0)
    series = made["artifactMembership"]["artifactCollection"]
    assert (series["__typename"], series["name"]) == ("ArtifactPortfolio", "best")
    text = """query($p: String!, $n: String!) { project(name: $p) { artifactType(name: "dataset") {
        artifactCollection(name: $n) { __typename } artifactSequence(name: $n) { __typename }
        artifactSequences { edges { node { name } } } } } }"""
    kinds = [_ask(client, text, p=project, n=name)["artifactType"] for name in ("ds", "best")]
    assert [each["artifactCollection"]["__typename"] for each in kinds] == ["ArtifactSequence", "ArtifactPortfolio"]
    assert [each["artifactSequence"] for each in kinds] == [{"__typename": "ArtifactSequence"}, None]
    assert kinds[0]["artifactSequences"]["edges"] == [{"node": {"name": "ds"}}]
    found = [_member(client, project, f"best:{alias}") for alias in ("prod", "latest", "v0")]
    assert [(each["versionIndex"], each["artifact"]["id"]) for each in found] == [(0, second)] * 3
    _ask(
        client,
        "mutation($i: UnlinkArtifactInput!) { unlinkArtifact(input: $i) { success } }",
        i={"artifactID": second, "artifactPortfolioID": series["id"]},
    )
    assert _member(client, project, "best:v0") is None
    assert _member(client, project, "ds:v1")["artifact"]["id"] == second


def test_an_artifact_links_to_no_collection_of_versions(client: Client, project: str) -> None:
    """What was logged under a name cannot become a portfolio."""
    made = _bring(client, project)
    text = "mutation($i: LinkArtifactInput!) { linkArtifact(input: $i) { versionIndex } }"
    fields = {"artifactID": made, "artifactPortfolioName": "ds", "entityName": "tester", "projectName": project}
    reply = client.query(text, {"i": fields})
    assert (reply.status, "not a portfolio" in reply.json["errors"][0]["message"]) == (400, True)


def test_a_deleted_version_is_gone_and_its_number_taken(client: Client, project: str) -> None:
    """One with an alias is kept unless the aliases go with it; the next version gets the next number."""
    first = _bring(client, project)
    text = "mutation($i: DeleteArtifactInput!) { deleteArtifact(input: $i) { artifact { state } } }"
    assert client.query(text, {"i": {"artifactID": first}}).status == 409
    assert _ask(client, text, i={"artifactID": first, "deleteAliases": True})["artifact"]["state"] == "DELETED"
    assert _member(client, project, "ds:v0") is None
    _bring(client, project)
    assert _member(client, project, "ds:latest")["versionIndex"] == 1


def test_a_deleted_version_gets_no_alias_and_no_link(client: Client, project: str) -> None:
    """Whoever still has its id is told that it is gone; no name leads to it again."""
    made, other = _bring(client, project), _bring(client, project, digest="e" * 32)
    _link(client, project, other)
    delete = "mutation($i: DeleteArtifactInput!) { deleteArtifact(input: $i) { artifact { state } } }"
    _ask(client, delete, i={"artifactID": made, "deleteAliases": True})
    update = "mutation($i: UpdateArtifactInput!) { updateArtifact(input: $i) { artifact { id } } }"
    fields = {"artifactID": made, "aliases": [{"artifactCollectionName": "ds", "alias": "late"}]}
    assert client.query(update, {"i": fields}).status == 404
    link = "mutation($i: LinkArtifactInput!) { linkArtifact(input: $i) { versionIndex } }"
    fields = {"artifactID": made, "artifactPortfolioName": "best", "entityName": "tester", "projectName": project}
    assert client.query(link, {"i": fields}).status == 404
    assert _member(client, project, "ds:late") is None
    assert _member(client, project, "best:latest")["artifact"]["id"] == other


def test_a_version_is_not_taken_out_of_its_own_collection(client: Client, project: str) -> None:
    """Only links are taken away; the aliases under which the version was logged stay."""
    made = _bring(client, project)
    text = 'query($p: String!) { project(name: $p, entityName: "tester") { artifactCollection(name: "ds") { id } } }'
    series = _ask(client, text, p=project)["artifactCollection"]["id"]
    unlink = "mutation($i: UnlinkArtifactInput!) { unlinkArtifact(input: $i) { success } }"
    _ask(client, unlink, i={"artifactID": made, "artifactPortfolioID": series})
    assert [_member(client, project, f"ds:{alias}")["artifact"]["id"] for alias in ("mine", "latest")] == [made, made]


def test_a_version_goes_by_alias_number_and_digest(client: Client, project: str) -> None:
    """In the collection of its own and in a portfolio; an alias of that name comes first."""
    first, second = _bring(client, project), _bring(client, project, digest="e" * 32)
    _link(client, project, first)
    wanted = {"ds:v0": first, "ds:v1": second, "ds:" + "d" * 32: first, "ds:mine": second, "ds": second,
              "best:v0": first, "best:prod": first, "best:" + "d" * 32: first}  # fmt: skip
    assert {name: _member(client, project, name)["artifact"]["id"] for name in wanted} == wanted
    for name in ("ds:v2", "ds:v", "ds:nobody", "best:v1", "best:mine", "nothing:v0"):
        assert _member(client, project, name) is None


def test_tags_are_added_and_taken_away(client: Client, project: str) -> None:
    """Each once, in the order in which they came."""
    made = _bring(client, project, tags=[{"tagName": "a"}])
    text = "mutation($i: UpdateArtifactInput!) { updateArtifact(input: $i) { artifact { tags { name } } } }"
    fields = {"artifactID": made, "tagsToAdd": [{"tagName": "b"}, {"tagName": "c"}], "tagsToDelete": [{"tagName": "b"}]}
    _ask(client, text, i=fields)
    _ask(client, text, i={"artifactID": made, "tagsToDelete": [{"tagName": "b"}], "tagsToAdd": [{"tagName": "a"}]})
    assert _member(client, project, "ds:v0")["artifact"]["tags"] == [{"name": "a"}, {"name": "c"}]


def test_an_incremental_version_holds_what_it_adds_and_what_was_there(client: Client, project: str) -> None:
    """Its manifest names only new files; what is read has those of the version before as well."""
    _bring(client, project)
    made = str(_create(client, project, digest="e" * 32)["id"])
    part = json.dumps({"version": 1, "contents": {"new.txt": {"digest": _MD5, "size": 7}}}).encode()
    digest = base64.b64encode(hashlib.md5(part).digest()).decode()
    text = """mutation($i: CreateArtifactManifestInput!) { createArtifactManifest(input: $i) {
        artifactManifest { file { uploadUrl } } } }"""
    fields = {"artifactID": made, "name": "wandb_manifest.incremental.json", "digest": digest, "entityName": "",
              "projectName": project, "runName": "r", "type": "INCREMENTAL"}  # fmt: skip
    address = _ask(client, text, i=fields)["artifactManifest"]["file"]["uploadUrl"]
    assert client.bring(address, part).status == 200
    _commit(client, made)
    found = _ask(client, "query($i: ID!) { artifact(id: $i) { fileCount files { edges { node { name } } } } }", i=made)
    assert sorted(edge["node"]["name"] for edge in found["files"]["edges"]) == ["f.txt", "new.txt"]
    assert found["fileCount"] == 2


def test_a_manifest_is_bounded(either_depot: DepotProcess, project: str) -> None:
    """It is read into memory as a whole; one that is announced as larger is refused before it comes."""
    client = Client(either_depot.url, either_depot.api_key)
    address = urlsplit(_manifest_address(client, project, _create(client, project)["id"]))
    connection = http.client.HTTPConnection(address.netloc, timeout=30)
    connection.putrequest("PUT", f"{address.path}?{address.query}")
    connection.putheader("Content-Length", str((256 << 20) + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
