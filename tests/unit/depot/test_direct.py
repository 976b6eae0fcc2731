"""Uploads of artifacts that go straight to the object store: nothing is named that is not there, and right."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from backhaul.depot.addresses import LIFETIME
from backhaul.depot.store.s3.blobs import S3Blobs
from backhaul.depot.store.s3.bucket import Bucket
from backhaul.depot.store.s3.place import S3Place

from ...depot_client import Client, Reply
from ...depot_thread import served_depot
from ...object_store import BUCKET, Door, opened_door, refusal

if TYPE_CHECKING:
    from tests.conftest import StartDepot

_PARTS = [b"a" * (5 << 20), b"b" * (5 << 20), b"the end"]
_CONTENT = b"the bytes of a file"


@dataclass
class Visit:
    """A client of a depot, and what lies in the store behind it."""

    client: Client
    door: Door
    place: S3Place
    sent: list[str] = field(default_factory=list)

    @property
    def objects(self) -> dict[str, bytes]:
        """What lies at the place, by name."""
        store = self.door.client
        return {
            name: store.get_object(Bucket=BUCKET, Key=self.place.prefix + name)["Body"].read()
            for name in self.door.names(self.place)
        }

    def ask(self, text: str, **variables: Any) -> Any:
        """The answer to a query that is not refused."""
        reply = self.client.query(text, variables)
        assert reply.status == 200, reply.body
        return next(iter(reply.json["data"].values()))

    def version(self, digest: str = "d" * 32) -> str:
        """The id of a new version."""
        text = "mutation($i: CreateArtifactInput!) { createArtifact(input: $i) { artifact { id } } }"
        fields = {"entityName": "tester", "projectName": "p", "artifactTypeName": "t", "artifactCollectionName": "c",
                  "digest": digest, "digestAlgorithm": "MANIFEST_MD5", "clientID": digest * 4}  # fmt: skip
        return str(self.ask(text, i=fields)["artifact"]["id"])

    def file(self, version: str, data: bytes, parts: list[bytes] | None = None, md5: str = "") -> Any:
        """Where a file may be PUT."""
        multipart = "uploadMultipartUrls { uploadID uploadUrlParts { uploadUrl } }"
        text = """mutation($i: CreateArtifactFilesInput!) { createArtifactFiles(input: $i) { files { edges { node {
            storagePath uploadUrl uploadHeaders %s } } } } }"""
        spec = {"artifactID": version, "name": "f.bin", "md5": md5 or _base64(data), "uploadPartsInput": None}
        if parts:
            spec["uploadPartsInput"] = [{"partNumber": n, "hexMD5": _hex(part)} for n, part in enumerate(parts, 1)]
        return self.ask(text % multipart, i={"artifactFiles": [spec], "storageLayout": "V2"})["files"]["edges"][0][
            "node"
        ]

    def manifest(self, version: str, data: bytes) -> str:
        """Where a manifest may be PUT."""
        text = """mutation($i: CreateArtifactManifestInput!) { createArtifactManifest(input: $i) {
            artifactManifest { file { uploadUrl } } } }"""
        fields = {"artifactID": version, "name": "wandb_manifest.json", "digest": _base64(data), "entityName": "",
                  "projectName": "p", "runName": "r"}  # fmt: skip
        return str(self.ask(text, i=fields)["artifactManifest"]["file"]["uploadUrl"])

    def commit(self, version: str) -> Reply:
        """The answer to the commit of a version."""
        return self.client.query("mutation($a: ID!) { commitArtifact(input: {artifactID: $a}) { artifact { state } } }",
                                 {"a": version})  # fmt: skip

    def complete(self, version: str, node: Any, etags: list[str]) -> Reply:
        """The answer to the completion of an upload in parts."""
        text = """mutation($i: CompleteMultipartUploadArtifactInput!) { completeMultipartUploadArtifact(input: $i) {
            digest } }"""
        parts = [{"partNumber": number, "hexMD5": etag} for number, etag in enumerate(etags, 1)]
        fields = {"completeMultipartAction": "Complete", "completedParts": parts, "artifactID": version,
                  "storagePath": node["storagePath"], "uploadID": node["uploadMultipartUrls"]["uploadID"]}  # fmt: skip
        return self.client.query(text, {"i": fields})

    def stored(self, data: bytes) -> Reply:
        """The bytes, as a client with the key reads them."""
        return self.client.keyed("GET", f"/artifactsV2/default/tester/p/c/x/{_hex(data)}/f.bin")


def _hex(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def _base64(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def _manifest(*contents: bytes) -> bytes:
    entries = {f"f{number}": {"digest": _base64(data), "size": len(data)} for number, data in enumerate(contents)}
    return json.dumps({"version": 1, "contents": entries}).encode()


def _parts_of(node: Any) -> list[str]:
    return [part["uploadUrl"] for part in node["uploadMultipartUrls"]["uploadUrlParts"]]


@pytest.fixture
def visit(door: Door, tmp_path: Path) -> Iterator[Visit]:
    """A visit to a depot of the test's own."""
    place = door.place()
    with served_depot(tmp_path, blobs=place) as client:
        yield Visit(client, door, place)


def test_bytes_of_an_artifact_never_pass_the_depot(visit: Visit) -> None:
    """Its files and its manifest are objects before the depot knows of them; the commit gives them their names."""
    version = visit.version()
    node, manifest = visit.file(version, _CONTENT), _manifest(_CONTENT)
    where = visit.manifest(version, manifest)
    assert {urlsplit(address).netloc for address in (node["uploadUrl"], where)} == {urlsplit(visit.door.url).netloc}
    assert f"Content-MD5:{_base64(_CONTENT)}" in node["uploadHeaders"]
    assert visit.commit(version).status == 400
    assert visit.client.bring(where, manifest).status == 200
    assert b"1 of its files have not arrived" in visit.commit(version).body
    assert visit.stored(_CONTENT).status == 404
    assert visit.client.bring(node["uploadUrl"], _CONTENT).status == 200
    for _ in range(2):
        assert visit.commit(version).json["data"]["commitArtifact"]["artifact"]["state"] == "COMMITTED"
    assert visit.stored(_CONTENT).body == _CONTENT
    assert sorted(visit.objects.values()) == sorted([_CONTENT, manifest])


def test_what_comes_again_changes_nothing(visit: Visit) -> None:
    """An answer was lost, and the client sends once more, before and after the bytes got their name."""
    version = visit.version()
    address = visit.file(version, _CONTENT)["uploadUrl"]
    for _ in range(2):
        assert visit.client.bring(address, _CONTENT).status == 200
    assert visit.file(version, _CONTENT)["uploadUrl"] is None
    assert visit.client.bring(address, _CONTENT).status == 200
    assert visit.file(version, _CONTENT)["uploadUrl"] is None
    assert visit.stored(_CONTENT).body == _CONTENT


def test_other_bytes_are_taken_at_no_address(visit: Visit) -> None:
    """The store compares them with the MD5 that the address is for; it is no address for another one, nor for ever."""
    address = visit.file(visit.version(), _CONTENT)["uploadUrl"]
    assert visit.client.bring(address, b"other", _base64(_CONTENT)).status == 400
    assert visit.client.bring(address, b"other").status == 403
    assert visit.client.request("PUT", address, _CONTENT).status == 403
    visit.door.late = timedelta(seconds=LIFETIME + 1)
    assert visit.client.bring(address, _CONTENT).status == 403
    assert visit.objects == {}


def test_asking_again_takes_no_longer_when_many_files_are_there(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is asked for by name, many by a list that begins with the first of them. The commit sees all that came."""
    monkeypatch.setattr("backhaul.depot.direct._AT_ONCE", 4)
    version, files = visit.version(), [b"%d" % number for number in range(10)]
    for data in files:
        visit.client.bring(visit.file(version, data)["uploadUrl"], data)
    for few, looks in ((20, ["HEAD"]), (0, ["GET"])):
        monkeypatch.setattr("backhaul.depot.store.s3.looking._FEW", few)
        for data in (*files, b"not there"):
            visit.door.seen.clear()
            address = visit.file(version, data)["uploadUrl"]
            assert (address is None) == (data in files)
            assert [asked.method for asked in visit.door.seen] == (looks if address or few else [])
    manifest = _manifest(*files)
    visit.client.bring(visit.manifest(version, manifest), manifest)
    assert visit.commit(version).status == 200
    assert [visit.stored(data).body for data in files] == files


def test_an_object_that_is_not_what_its_name_says_is_removed_and_never_named(visit: Visit) -> None:
    """However it came there."""
    version, manifest = visit.version(), _manifest(_CONTENT)
    visit.client.bring(visit.manifest(version, manifest), manifest)
    key = urlsplit(visit.file(version, _CONTENT)["uploadUrl"]).path.removeprefix(f"/{BUCKET}/")
    visit.door.client.put_object(Bucket=BUCKET, Key=key, Body=b"other")
    assert b"have not arrived" in visit.commit(version).body
    assert list(visit.objects.values()) == [manifest]


def test_bytes_that_two_versions_bring_are_kept_once(visit: Visit) -> None:
    """Which of them is first does not matter; the other object goes a minute later."""
    versions = [visit.version(digest * 32) for digest in "de"]
    for address in [visit.file(version, _CONTENT)["uploadUrl"] for version in versions]:
        assert visit.client.bring(address, _CONTENT).status == 200
    manifest = _manifest(_CONTENT)
    for version in versions:
        visit.client.bring(visit.manifest(version, manifest), manifest)
    with ThreadPoolExecutor(2) as pool:
        assert [reply.status for reply in pool.map(visit.commit, versions)] == [200, 200]
    assert visit.stored(_CONTENT).body == _CONTENT


def test_a_file_comes_in_parts(visit: Visit) -> None:
    """In any order. The store puts it together; it is read for its MD5, and only then there. Asking again is fine."""
    whole = b"".join(_PARTS)
    version = visit.version()
    node = visit.file(version, whole, _PARTS)
    etags = {}
    for number in (2, 0, 1):
        reply = visit.client.bring(_parts_of(node)[number], _PARTS[number])
        etags[number] = reply.headers["etag"]
    assert _parts_of(visit.file(version, whole, _PARTS))[0].partition("?")[0] == _parts_of(node)[0].partition("?")[0]
    assert visit.stored(whole).status == 404
    for _ in range(2):
        reply = visit.complete(version, node, [etags[number] for number in range(3)])
        assert reply.json["data"]["completeMultipartUploadArtifact"] == {"digest": _base64(whole)}
    assert visit.stored(whole).body == whole
    assert visit.file(version, whole, _PARTS)["uploadMultipartUrls"] is None


def test_parts_that_are_missing_small_or_not_the_whole_are_refused(visit: Visit) -> None:
    """With the number of the first that is missing; what is not the whole is never kept under its MD5."""
    whole = b"".join(_PARTS)
    version, told = visit.version(), [_hex(part) for part in _PARTS]
    node = visit.file(version, whole, _PARTS)
    visit.client.bring(_parts_of(node)[0], _PARTS[0])
    assert b"2 of 3 parts have not arrived, the first of them [2, 3]" in visit.complete(version, node, told).body
    small = visit.file(version, b"abcd", [b"ab", b"cd"])
    for address, part in zip(_parts_of(small), [b"ab", b"cd"], strict=True):
        assert visit.client.bring(address, part).status == 200
    assert b"all parts but the last must have" in visit.complete(version, small, [_hex(b"ab"), _hex(b"cd")]).body
    other = visit.file(version, b"", _PARTS, md5=_base64(b"something else"))
    for address, part in zip(_parts_of(other), _PARTS, strict=True):
        assert visit.client.bring(address, part).status == 200
    assert b"the parts together have the MD5" in visit.complete(version, other, told).body
    assert visit.complete(version, other, told).status == 404
    assert visit.objects == {}


def test_an_upload_in_parts_goes_on_after_the_depot_was_killed(
    door: Door, tmp_path: Path, start_depot: StartDepot
) -> None:
    """Nothing that came is sent again; what came before the kill and was not told of is found."""
    place = door.place()
    where = (place.bucket, place.prefix, door.url, "direct")
    whole, depot = b"".join(_PARTS), start_depot(tmp_path, *where)
    visit = Visit(Client(depot.url, depot.api_key), door, place)
    version, manifest = visit.version(), _manifest(whole, _CONTENT)
    node = visit.file(version, whole, _PARTS)
    etags = [visit.client.bring(_parts_of(node)[number], _PARTS[number]).headers["etag"] for number in (0, 1)]
    visit.client.bring(visit.file(version, _CONTENT)["uploadUrl"], _CONTENT)
    visit.client.bring(visit.manifest(version, manifest), manifest)
    depot.kill()
    depot = start_depot(tmp_path, *where)
    visit = Visit(Client(depot.url, depot.api_key), door, place)
    again = visit.file(visit.version(), whole, _PARTS)
    etags.append(visit.client.bring(_parts_of(again)[2], _PARTS[2]).headers["etag"])
    assert visit.complete(version, again, etags).status == 200
    assert visit.commit(version).status == 200
    assert (visit.stored(whole).body, visit.stored(_CONTENT).body) == (whole, _CONTENT)


def test_an_upload_in_parts_is_put_together_by_another_depot(
    door: Door, tmp_path: Path, start_depot: StartDepot, postgres_url: str
) -> None:
    """Two that share database and store: what was begun at one is whole at both, and is committed once."""
    place, whole = door.place(), b"".join(_PARTS[1:])
    where = (place.bucket, place.prefix, door.url, "direct")
    depots = [start_depot(tmp_path / name, *where, database=postgres_url) for name in ("one", "two")]
    one, two = (Visit(Client(depot.url, depot.api_key), door, place) for depot in depots)
    version, manifest = one.version(), _manifest(whole)
    node = one.file(version, whole, _PARTS[1:])
    assert (
        _parts_of(two.file(version, whole, _PARTS[1:]))[0].split("&X-Amz")[0] == _parts_of(node)[0].split("&X-Amz")[0]
    )
    told = [one.client.bring(*each).headers["etag"] for each in zip(_parts_of(node), _PARTS[1:], strict=True)]
    with ThreadPoolExecutor(2) as pool:
        done = {reply.status for reply in pool.map(lambda visit: visit.complete(version, node, told), (one, two))}
    assert 200 in done
    assert done <= {200, 503}  # moto stumbles over two at once; a client asks again
    assert {visit.complete(version, node, told).status for visit in (one, two)} == {200}
    two.client.bring(two.manifest(version, manifest), manifest)
    assert (one.commit(version).status, two.commit(version).status) == (200, 200)
    assert (one.stored(whole).body, two.stored(whole).body) == (whole, whole)


def test_a_store_that_fails_at_the_commit_lets_the_client_try_again(visit: Visit) -> None:
    """503, and not 400: the bytes may well be there."""
    version, manifest = visit.version(), _manifest(_CONTENT)
    visit.client.bring(visit.file(version, _CONTENT)["uploadUrl"], _CONTENT)
    visit.client.bring(visit.manifest(version, manifest), manifest)
    visit.door.fault = lambda _asked: refusal(503, "SlowDown")
    assert visit.commit(version).status == 503
    visit.door.fault = None
    assert visit.commit(version).status == 200


@pytest.mark.parametrize("how", ["switched-off", "bounded", "empty"])
def test_what_the_store_cannot_do_passes_through_the_depot(door: Door, tmp_path: Path, how: str) -> None:
    """A file that is too large can be refused only here; some clients send an empty one without a length."""
    place = door.place(direct=how != "switched-off")
    data = b"" if how == "empty" else _CONTENT
    with served_depot(tmp_path, max_file_size=100 if how == "bounded" else None, blobs=place) as client:
        visit = Visit(client, door, place)
        version = visit.version()
        address = visit.file(version, data)["uploadUrl"]
        assert urlsplit(address).netloc == urlsplit(client.url).netloc
        assert visit.client.bring(address, data).status == 200
        assert visit.stored(data).body == data


def test_addresses_are_for_the_endpoint_that_clients_reach(door: Door, moto_port: int, tmp_path: Path) -> None:
    """It may be another one than the depot's own."""
    with opened_door(moto_port) as outer:
        place = replace(door.place(), public_endpoint=outer.url)
        with served_depot(tmp_path, blobs=place) as client:
            visit = Visit(client, door, place)
            address = visit.file(visit.version(), _CONTENT)["uploadUrl"]
            assert urlsplit(address).netloc == urlsplit(outer.url).netloc
            assert client.bring(address, _CONTENT).status == 200
            assert [asked.method for asked in outer.seen] == ["PUT"]


def test_where_etags_are_no_md5s_the_bytes_are_read(door: Door) -> None:
    """As with a managed key; once for each object."""
    blobs = S3Blobs(Bucket(door.place()), plain_etags=False)
    arrivals = blobs.arrivals()
    kept = blobs.keep(_CONTENT)
    door.seen.clear()
    for _ in range(2):
        (came,) = arrivals.came(kept.name)
        assert (came.size, came.md5) == (len(_CONTENT), _hex(_CONTENT))
    assert [asked.method for asked in door.seen if "list-type" not in asked.query] == ["GET"]
