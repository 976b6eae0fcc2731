"""Bytes of artifacts that come in parts, over HTTP: the whole is there, or nothing of it shows."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backhaul.depot.artifact import Draft
from backhaul.depot.assembly import Assembly
from backhaul.depot.manifests import Manifests
from backhaul.depot.refusal import Refused
from backhaul.depot.store.folder import FolderBlobs
from backhaul.depot.store.opening import open_store
from backhaul.depot.store.sql_store import SqlStore
from backhaul.depot.sweep import Sweep

from ...depot_client import Client

if TYPE_CHECKING:
    from tests.conftest import DepotProcess, StartDepot

_PARTS = [b"a" * 300_000, b"b" * 300_000, b"the end"]


@pytest.fixture
def client(either_depot: DepotProcess) -> Client:
    """A client of a depot over a folder, and of one over an object store."""
    return Client(either_depot.url, either_depot.api_key)


@pytest.fixture
def own(tmp_path: Path, start_depot: StartDepot) -> DepotProcess:
    """A depot over a folder in which nothing else is."""
    return start_depot(tmp_path / "data")


def _hex(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def _base64(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def _announced(parts: list[bytes]) -> list[dict[str, Any]]:
    return [{"partNumber": number, "hexMD5": _hex(part)} for number, part in enumerate(parts, 1)]


def _version(client: Client, project: str) -> str:
    text = "mutation($i: CreateArtifactInput!) { createArtifact(input: $i) { artifact { id } } }"
    fields = {"entityName": "tester", "projectName": project, "artifactTypeName": "t", "artifactCollectionName": "big",
              "digest": "d" * 32, "digestAlgorithm": "MANIFEST_MD5", "clientID": "c" * 128}  # fmt: skip
    return str(client.query(text, {"i": fields}).json["data"]["createArtifact"]["artifact"]["id"])


def _begin(client: Client, artifact: str, parts: list[bytes], whole: str | None = None) -> Any:
    text = """mutation($i: CreateArtifactFilesInput!) { createArtifactFiles(input: $i) { files { edges { node {
        storagePath uploadUrl uploadMultipartUrls { uploadID uploadUrlParts { partNumber uploadUrl } } } } } } }"""
    spec = {"artifactID": artifact, "name": "f.bin", "md5": whole or _base64(b"".join(parts)),
            "uploadPartsInput": _announced(parts)}  # fmt: skip
    reply = client.query(text, {"i": {"artifactFiles": [spec], "storageLayout": "V2"}})
    assert reply.status == 200, reply.body
    return reply.json["data"]["createArtifactFiles"]["files"]["edges"][0]["node"]


def _addresses(node: Any) -> list[str]:
    return [part["uploadUrl"] for part in node["uploadMultipartUrls"]["uploadUrlParts"]]


def _complete(client: Client, artifact: str, node: Any, completed: list[dict[str, Any]]) -> Any:
    text = """mutation($i: CompleteMultipartUploadArtifactInput!) { completeMultipartUploadArtifact(input: $i) {
        digest } }"""
    fields = {"completeMultipartAction": "Complete", "completedParts": completed, "artifactID": artifact,
              "storagePath": node["storagePath"], "uploadID": node["uploadMultipartUrls"]["uploadID"]}  # fmt: skip
    return client.query(text, {"i": fields})


def _content(client: Client, project: str, whole: bytes) -> Any:
    return client.keyed("GET", f"/artifactsV2/default/tester/{project}/big/QQ%3D%3D/{_hex(whole)}/f.bin")


def _blobs(depot: DepotProcess) -> list[Path]:
    return [path for path in (depot.data / "blobs").glob("??/*") if path.is_file()]


def test_parts_come_in_any_order_and_become_one_file(own: DepotProcess, project: str) -> None:
    """Nothing shows before the upload is completed; afterwards the whole is kept once, and its parts are gone."""
    client = Client(own.url, own.api_key)
    artifact = _version(client, project)
    node = _begin(client, artifact, _PARTS)
    assert node["uploadUrl"]  # a client takes null for "already here"
    completed = []
    for number in (3, 1, 2, 1):
        reply = client.request("PUT", _addresses(node)[number - 1], _PARTS[number - 1])
        assert (reply.status, reply.headers["etag"]) == (200, f'"{_hex(_PARTS[number - 1])}"')
        completed.append({"partNumber": number, "hexMD5": reply.headers["etag"]})
    completed.pop()  # the part that was sent again
    assert len(_blobs(own)) == len(_PARTS)
    assert _content(client, project, b"".join(_PARTS)).status == 404
    reply = _complete(client, artifact, node, completed)
    assert reply.json["data"]["completeMultipartUploadArtifact"] == {"digest": _base64(b"".join(_PARTS))}
    assert _content(client, project, b"".join(_PARTS)).body == b"".join(_PARTS)
    assert [path.read_bytes() for path in _blobs(own)] == [b"".join(_PARTS)]
    assert _complete(client, artifact, node, completed).json == reply.json  # the answer was lost, the client asks again
    again = _begin(client, artifact, _PARTS)
    assert (again["uploadUrl"], again["uploadMultipartUrls"]) == (None, None)


def test_a_part_must_be_what_was_announced(client: Client, project: str) -> None:
    """Other bytes are refused, by the announcement and by their own Content-MD5, and the right ones are still taken."""
    artifact = _version(client, project)
    node = _begin(client, artifact, _PARTS)
    first = _addresses(node)[0]
    for body, said in [(b"other", _base64(b"other")), (_PARTS[0], _base64(b"other"))]:
        reply = client.request("PUT", first, body, {"Content-MD5": said})
        assert (reply.status, b"BadDigest" in reply.body) == (400, True)
    assert client.request("PUT", first, _PARTS[0], {"Content-MD5": _base64(_PARTS[0])}).status == 200


def test_an_upload_is_not_complete_while_a_part_is_missing(client: Client, project: str) -> None:
    """The answer names the missing part; when that came, the same request succeeds."""
    artifact = _version(client, project)
    node = _begin(client, artifact, _PARTS)
    for number in (0, 2):
        client.request("PUT", _addresses(node)[number], _PARTS[number])
    reply = _complete(client, artifact, node, _announced(_PARTS))
    assert (reply.status, "[2]" in reply.json["errors"][0]["message"]) == (400, True)
    client.request("PUT", _addresses(node)[1], _PARTS[1])
    assert _complete(client, artifact, node, _announced([*_PARTS[:2], b"other"])).status == 400
    assert _complete(client, artifact, node, _announced(_PARTS)).status == 200


def test_an_upload_goes_on_after_the_depot_was_killed(own: DepotProcess, start_depot: StartDepot, project: str) -> None:
    """A client that asks again gets the same upload, and needs to send only what is missing."""
    client = Client(own.url, own.api_key)
    artifact = _version(client, project)
    node = _begin(client, artifact, _PARTS)
    for number in (0, 1):
        assert client.request("PUT", _addresses(node)[number], _PARTS[number]).status == 200
    own.kill()
    started = start_depot(own.data)
    client = Client(started.url, started.api_key)
    again = _begin(client, _version(client, project), _PARTS)
    assert again["uploadMultipartUrls"]["uploadID"] == node["uploadMultipartUrls"]["uploadID"]
    assert client.request("PUT", _addresses(again)[2], _PARTS[2]).status == 200
    assert _complete(client, artifact, again, _announced(_PARTS)).status == 200
    assert _content(client, project, b"".join(_PARTS)).body == b"".join(_PARTS)


def test_parts_that_are_not_the_announced_whole_end_the_upload(own: DepotProcess, project: str) -> None:
    """The whole is never kept under an MD5 that it has not, and its parts do not stay behind."""
    client = Client(own.url, own.api_key)
    artifact = _version(client, project)
    node = _begin(client, artifact, _PARTS, whole=_base64(b"something else"))
    for address, part in zip(_addresses(node), _PARTS, strict=True):
        assert client.request("PUT", address, part).status == 200
    assert _complete(client, artifact, node, _announced(_PARTS)).status == 400
    assert _complete(client, artifact, node, _announced(_PARTS)).status == 404
    assert client.request("PUT", _addresses(node)[0], _PARTS[0]).status == 404
    assert _blobs(own) == []


def test_other_parts_of_the_same_bytes_begin_anew(own: DepotProcess, project: str) -> None:
    """A client that cuts the file otherwise gets another upload; what the first one received is freed."""
    client = Client(own.url, own.api_key)
    artifact = _version(client, project)
    old = _begin(client, artifact, _PARTS)
    client.request("PUT", _addresses(old)[0], _PARTS[0])
    new = _begin(client, artifact, [b"".join(_PARTS)])
    assert new["uploadMultipartUrls"]["uploadID"] != old["uploadMultipartUrls"]["uploadID"]
    assert _blobs(own) == []
    assert client.request("PUT", _addresses(old)[0], _PARTS[0]).status == 404


def test_addresses_of_parts_are_signed(client: Client, project: str) -> None:
    """An address is good for one part of one upload."""
    node = _begin(client, _version(client, project), _PARTS)
    first = _addresses(node)[0]
    path, _, query = first.partition("?")
    assert client.request("PUT", f"{path[:-1]}2?{query}", _PARTS[1]).status == 403
    assert client.keyed("PUT", path, _PARTS[0]).status == 403


@pytest.mark.parametrize("parts", [[{"partNumber": 2, "hexMD5": "0" * 32}], [{"partNumber": 1, "hexMD5": "no"}],
                                   [{"partNumber": 1, "hexMD5": "0" * 32}] * 2,
                                   [{"partNumber": n, "hexMD5": "0" * 32} for n in range(1, 10_002)]])  # fmt: skip
def test_parts_that_cannot_be_are_refused(client: Client, project: str, parts: list[Any]) -> None:
    """Numbers run from 1 to 10,000 at most, without gaps and repetitions; each part has an MD5."""
    text = "mutation($i: CreateArtifactFilesInput!) { createArtifactFiles(input: $i) { files { totalCount } } }"
    spec = {"artifactID": _version(client, project), "name": "f", "md5": _base64(b""), "uploadPartsInput": parts}
    assert client.query(text, {"i": {"artifactFiles": [spec], "storageLayout": "V2"}}).status == 400


class _Held(FolderBlobs):
    """Blobs that are not joined before the test says so."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.begun, self.allowed, self.joins = threading.Event(), threading.Event(), 0

    def join(self, names: Any, accept: Any) -> Any:
        self.joins += 1
        self.begun.set()
        assert self.allowed.wait(20)
        return super().join(names, accept)


def _all_names(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*") if path.is_file()}


def _stored(store: SqlStore, blobs: FolderBlobs, parts: list[bytes]) -> tuple[int, int]:
    """The numbers of a version and of its upload, all parts of which came."""
    made = store.artifacts.create(Draft("e", "p", "big", "t", "d" * 32, ()))
    digests = tuple(_hex(part) for part in parts)
    upload, _ = store.uploads.begin(made.id, _hex(b"".join(parts)), digests, expires_at=100)
    for number, part in enumerate(parts, 1):
        store.uploads.put_part(upload.id, number, blobs.keep(part))
    return made.id, upload.id


@pytest.fixture
def now() -> list[float]:
    """What the store takes for the time."""
    return [50.0]


@pytest.fixture
def store(database: Path | str, now: list[float]) -> Iterator[SqlStore]:
    """A store without a depot around it."""
    made = open_store(database, lambda: now[0])
    yield made
    made.close()


def test_whoever_asks_meanwhile_waits_and_the_parts_are_joined_once(tmp_path: Path, store: SqlStore) -> None:
    """A client whose request took too long for it sends it again while the first is still worked on."""
    blobs = _Held(tmp_path / "blobs")
    version, upload = _stored(store, blobs, _PARTS)
    assembly = Assembly(store.uploads, blobs)
    announced = {number: _hex(part) for number, part in enumerate(_PARTS, 1)}
    project = store.artifacts.get(version).collection.project.id
    threads = [threading.Thread(target=assembly.complete, args=(version, upload, project, announced)) for _ in range(2)]
    threads[0].start()
    assert blobs.begun.wait(20)
    threads[1].start()
    blobs.allowed.set()
    for thread in threads:
        thread.join(20)
    content = store.artifacts.content(project, _hex(b"".join(_PARTS)))
    assert content is not None
    assert (blobs.joins, blobs.read(content.blob)) == (1, b"".join(_PARTS))


def test_an_upload_that_nobody_completes_is_swept_when_its_time_is_over(
    tmp_path: Path, store: SqlStore, now: list[float]
) -> None:
    """Its parts are freed; not a moment earlier, and asking again gives it more time."""
    blobs = FolderBlobs(tmp_path / "blobs")
    version, upload = _stored(store, blobs, _PARTS)
    sweep = Sweep(store, blobs, Manifests(blobs), lambda: now[0])
    kept = store.uploads.get(upload)
    assert kept is not None
    parts = set(kept.received.values())
    assert parts
    now[0] = 100.0
    Assembly(store.uploads, blobs).begin(version, kept.md5, kept.parts, expires_at=200)
    now[0] = 200.0
    sweep.tick()
    assert parts <= _all_names(tmp_path / "blobs")
    now[0] = 200.1
    sweep.tick()
    assert not parts & _all_names(tmp_path / "blobs")
    with pytest.raises(Refused):
        store.uploads.put_part(upload, 1, blobs.keep(b"late"))


def test_what_expired_while_the_depot_was_away_is_freed_at_its_start(tmp_path: Path, start_depot: StartDepot) -> None:
    """Nobody needs to begin another upload for that."""
    data = tmp_path / "data"
    data.mkdir()
    store, blobs = open_store(data / "depot.sqlite"), FolderBlobs(data / "blobs")
    _stored(store, blobs, _PARTS)
    store.close()
    assert _blobs(start_depot(data)) == []


def test_another_depot_that_is_slower_with_the_same_parts_asks_for_patience(tmp_path: Path, store: SqlStore) -> None:
    """The first is done and has removed them; the bytes are there, once, and the client hears so when it asks again."""
    blobs, slow = FolderBlobs(tmp_path / "blobs"), _Held(tmp_path / "blobs")
    version, upload = _stored(store, blobs, _PARTS)
    announced = {number: _hex(part) for number, part in enumerate(_PARTS, 1)}
    project = store.artifacts.get(version).collection.project.id
    first, second = Assembly(store.uploads, blobs), Assembly(store.uploads, slow)
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(second.complete, version, upload, project, announced)
        assert slow.begun.wait(20)
        first.complete(version, upload, project, announced)
        slow.allowed.set()
        with pytest.raises(Refused) as refused:
            late.result(20)
    assert refused.value.status == 503
    second.complete(version, upload, project, announced)
    content = store.artifacts.content(project, _hex(b"".join(_PARTS)))
    assert content is not None
    assert _all_names(tmp_path / "blobs") == {content.blob}
    assert blobs.read(content.blob) == b"".join(_PARTS)
