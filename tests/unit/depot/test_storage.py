"""The bytes of files, over real sockets."""

from __future__ import annotations

import base64
import hashlib
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from ...depot_client import Client
from ...waiting import until

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

_CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def client(either_depot: DepotProcess) -> Client:
    """A client of a depot over a folder, and of one over an object store."""
    return Client(either_depot.url, either_depot.api_key)


def _files(client: Client, project: str) -> list[Any]:
    fields = "files { totalCount edges { node { name sizeBytes md5 url directUrl } } }"
    return [edge["node"] for edge in client.run_field(project, "r1", fields)["files"]["edges"]]


def test_a_file_shows_with_its_size_and_digest_once_its_put_is_whole(client: Client, project: str) -> None:
    """Readable with the key at `url` and without at `directUrl`, byte for byte."""
    client.open_run(project, "r1")
    address = client.upload_address(project, "r1", "media/a b#ü.bin")
    assert _files(client, project) == []
    put = client.request("PUT", address, _CONTENT)
    assert (put.status, put.headers["etag"]) == (200, f'"{hashlib.md5(_CONTENT).hexdigest()}"')
    (node,) = _files(client, project)
    md5 = base64.b64encode(hashlib.md5(_CONTENT).digest()).decode()
    assert (node["name"], node["sizeBytes"], node["md5"]) == ("media/a b#ü.bin", len(_CONTENT), md5)
    assert client.keyed("GET", node["url"]).body == _CONTENT
    assert client.request("GET", node["directUrl"]).body == _CONTENT


def test_the_last_put_wins_and_an_empty_file_is_a_file(client: Client, project: str) -> None:
    """A name that is PUT again has the new content."""
    client.open_run(project, "r1")
    address = client.upload_address(project, "r1", "a.txt")
    for content in (b"first", b"", b"third"):
        assert client.request("PUT", address, content).status == 200
        assert client.keyed("GET", f"/files/tester/{project}/r1/a.txt").body == content


def test_ranges_and_validators_are_honoured(client: Client, project: str) -> None:
    """206 with the bytes that were asked for; HEAD tells the length."""
    client.open_run(project, "r1")
    client.request("PUT", client.upload_address(project, "r1", "a.bin"), _CONTENT)
    address = _files(client, project)[0]["directUrl"]
    part = client.request("GET", address, headers={"Range": "bytes=1000-1009"})
    assert (part.status, part.body) == (206, _CONTENT[1000:1010])
    assert part.headers["content-range"] == f"bytes 1000-1009/{len(_CONTENT)}"
    head = client.request("HEAD", address)
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(_CONTENT)), b"")
    assert client.request("GET", address, headers={"Range": "bytes=99999999-"}).status == 416


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=1279990-", 206, _CONTENT[1279990:]),
        ("bytes=-7", 206, _CONTENT[-7:]),
        ("bytes=-9999999", 206, _CONTENT),
        ("bytes=1279999-9999999", 206, _CONTENT[-1:]),
        ("bytes=-0", 416, b""),
        ("bytes=1280000-", 416, b""),
        ("bytes=9-3", 200, _CONTENT),
        ("bytes=-", 200, _CONTENT),
        ("bytes=0-1,5-6", 200, _CONTENT),
        ("lines=0-1", 200, _CONTENT),
        ("bytes=0-" + "9" * 5000, 200, _CONTENT),
    ],
)
def test_what_is_no_single_range_is_answered_with_the_whole(
    client: Client, project: str, asked: str, status: int, expected: bytes
) -> None:
    """As a server may; and a range is never longer than what is there."""
    client.open_run(project, "r1")
    client.request("PUT", client.upload_address(project, "r1", "a.bin"), _CONTENT)
    address = _files(client, project)[0]["directUrl"]
    reply = client.request("GET", address, headers={"Range": asked})
    assert (reply.status, reply.body) == (status, expected)


def test_a_range_of_a_file_that_has_changed_since_is_the_whole_of_it(client: Client, project: str) -> None:
    """`If-Range` names the content that the client has a part of."""
    client.open_run(project, "r1")
    client.request("PUT", client.upload_address(project, "r1", "a.bin"), _CONTENT)
    address = _files(client, project)[0]["directUrl"]
    same = f'"{hashlib.md5(_CONTENT).hexdigest()}"'
    for held, status in ((same, 206), ('"other"', 200)):
        reply = client.request("GET", address, headers={"Range": "bytes=5-9", "If-Range": held})
        assert (reply.status, len(reply.body)) == (status, 5 if status == 206 else len(_CONTENT))


def test_a_wrong_content_md5_is_refused_and_leaves_the_old_file(client: Client, project: str) -> None:
    """The digest is computed of what arrived."""
    client.open_run(project, "r1")
    address = client.upload_address(project, "r1", "a.txt")
    right = base64.b64encode(hashlib.md5(b"old").digest()).decode()
    assert client.request("PUT", address, b"old", {"Content-MD5": right}).status == 200
    reply = client.request("PUT", address, b"new", {"Content-MD5": right})
    assert (reply.status, b"<Code>BadDigest</Code>" in reply.body) == (400, True)
    assert client.keyed("GET", f"/files/tester/{project}/r1/a.txt").body == b"old"


def test_a_put_that_is_cut_in_the_middle_shows_nothing(client: Client, project: str, depot: DepotProcess) -> None:
    """Neither the file nor a piece of it stays behind."""
    client.open_run(project, "r1")
    address = urlsplit(client.upload_address(project, "r1", "cut.bin"))
    host = urlsplit(client.url)
    with socket.create_connection((host.hostname, host.port), timeout=60) as connection:
        head = f"PUT {address.path}?{address.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 3_000_000)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):  # ends when the depot has given the upload up
            pass
    assert _files(client, project) == []
    incoming = depot.data / "blobs" / "incoming"
    until(lambda: not list(incoming.iterdir()), "the piece that came is removed")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a\0b", "a\\b", "", "..", "a//b"])
def test_no_name_gets_an_address_outside_its_run(client: Client, project: str, name: str) -> None:
    """Refused where addresses are made."""
    client.open_run(project, "r1")
    text = """mutation($p: String!, $f: [String!]!) { createRunFiles(input: {entityName: "tester", projectName: $p,
        runName: "r1", files: $f}) { files { uploadUrl } } }"""
    reply = client.query(text, {"p": project, "f": ["fine.txt", name]})
    assert (reply.status, "invalid file name" in reply.json["errors"][0]["message"]) == (400, True)


@pytest.mark.parametrize(
    "path",
    [
        "%2e%2e/%2e%2e/%2e%2e/depot.sqlite",
        "..%2f..%2fdepot.sqlite",
        "a/%2e%2e/%2e%2e/api-key",
        "%2fetc%2fpasswd",
        "a%00b",
        "..%5c..%5capi-key",
    ],
)
def test_no_path_reads_outside_its_run(client: Client, project: str, path: str) -> None:
    """However it is escaped."""
    client.open_run(project, "r1")
    reply = client.keyed("GET", f"/files/tester/{project}/r1/{path}")
    assert (reply.status, "invalid file name" in reply.json["errors"][0]["message"]) == (400, True)


def test_a_forged_or_foreign_signature_opens_nothing(client: Client, project: str) -> None:
    """An address for one file, method or time is none for another."""
    client.open_run(project, "r1")
    put = client.upload_address(project, "r1", "a.txt")
    assert client.request("PUT", put, b"x").status == 200
    forged = [
        ("GET", put),
        ("PUT", put.replace("a.txt", "b.txt")),
        ("PUT", put.replace("expires=", "expires=9")),
        ("PUT", put[:-1] + ("0" if put[-1] != "0" else "1")),
        ("PUT", put.partition("?")[0]),
        ("PUT", put.partition("?")[0] + "?expires=x&signature=%ff"),
    ]
    assert [client.request(method, address, b"y").status for method, address in forged] == [403] * len(forged)
    assert client.keyed("PUT", put.partition("?")[0], b"y").status == 403
    assert client.keyed("GET", f"/files/tester/{project}/r1/a.txt").body == b"x"


def test_stored_pages_do_not_run_in_a_browser(client: Client, project: str) -> None:
    """HTML and SVG of users come as downloads, sandboxed."""
    client.open_run(project, "r1")
    client.request("PUT", client.upload_address(project, "r1", "x.html"), b"<script>alert(1)</script>")
    headers = client.keyed("GET", f"/files/tester/{project}/r1/x.html").headers
    assert headers["content-disposition"].startswith("attachment")
    assert headers["content-security-policy"].startswith("sandbox")
    assert headers["x-content-type-options"] == "nosniff"


def test_a_missing_file_is_a_404(client: Client, project: str) -> None:
    """And so is a file of a run that there is not."""
    client.open_run(project, "r1")
    for run in ("r1", "r2"):
        assert client.keyed("GET", f"/files/tester/{project}/{run}/no.txt").status == 404


def test_files_are_listed_by_name_and_pattern(client: Client, project: str) -> None:
    """`%` and `_` as in SQL; a name that is not there has no digest, as clients expect, and an upload address."""
    client.open_run(project, "r1")
    for name in ("a1.txt", "a2.txt", "b1.txt", "a1.tx"):
        client.request("PUT", client.upload_address(project, "r1", name), b"x")

    def listed(arguments: str, fields: str = "name") -> list[Any]:
        found = client.run_field(project, "r1", f"files({arguments}) {{ edges {{ node {{ {fields} }} }} }}")
        return [edge["node"] for edge in found["files"]["edges"]]

    assert [node["name"] for node in listed('pattern: "a_.txt"')] == ["a1.txt", "a2.txt"]
    assert [node["name"] for node in listed('pattern: "%.txt", first: 2, after: "1"')] == ["a2.txt", "b1.txt"]
    assert listed('names: ["b1.txt", "no"]', "name md5 sizeBytes")[1] == {"name": "no", "md5": "0", "sizeBytes": 0}
    (node,) = listed('names: ["new.txt"]', "url(upload: true)")
    assert client.request("PUT", node["url"], b"x").status == 200
