"""Clients that write to a depot, and the record outside of it of what was acknowledged (RocksDB's crash test's way).

Each writer owns one run and one artifact collection, so that it alone knows what must be there. It sends one request
at a time; when the depot dies under one, that request is in doubt: it may be stored whole or not at all. After the
next start the writer compares, and sends it once more.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from .depot_client import Client, Reply
from .waiting import until

PROJECT = "load"
_STREAMS = {"history": "wandb-history.jsonl", "events": "wandb-events.jsonl", "output": "output.log"}
_SHARED = b"the same bytes in every version" * 1000


@dataclass
class Record:
    """What a writer knows to be stored."""

    lines: dict[str, dict[int, str]] = field(default_factory=lambda: {name: {} for name in _STREAMS})
    config: str = "{}"
    summary: str = "{}"
    files: dict[str, bytes] = field(default_factory=dict)
    versions: dict[int, str] = field(default_factory=dict)
    """Digest by version number."""


@dataclass
class Request:
    """Something to be sent, and what it changes when it is stored."""

    send: Callable[[Client], None]
    effect: Callable[[Record], None]


class Writer:
    """One client. All that it does follows from its seed and from what was acknowledged."""

    def __init__(self, seed: int, number: int) -> None:
        self._random = Random(f"{seed}/{number}")
        self.run = f"run-{number}"
        self.record = Record()
        self.doubt: Request | None = Request(self._open, _nothing)
        self.acknowledged = 0
        self._opened = False
        self._made = 0
        self._brought: dict[int, tuple[str, bytes]] = {}  # artifact id and own bytes, by version

    def work(self, client: Client) -> None:
        """Send until the depot is gone."""
        while True:
            request = self.doubt = self.doubt or self._next()
            try:
                request.send(client)
            except (OSError, http.client.HTTPException):
                return
            request.effect(self.record)
            self.doubt = None
            self.acknowledged += 1

    def requests(self, count: int) -> Iterator[Request]:
        """So many requests, the first of which opens the run; the one before is acknowledged when the next is asked."""
        yield Request(self._open, _nothing)
        for _ in range(count - 1):
            yield self._next()

    def check(self, client: Client) -> None:
        """Compare the depot with the record."""
        if not self._opened:
            return
        found = self._found(client)
        possible = [self.record]
        if self.doubt is not None:
            after = copy.deepcopy(self.record)
            self.doubt.effect(after)
            possible.append(after)
        assert found in possible, _difference(found, self.record)
        for version in set(self._brought) & set(found.versions):
            content = self._brought[version][1]
            for data in (content, _SHARED):
                reply = client.keyed("GET", f"/artifactsV2/default/tester/{PROJECT}/{self.run}/x/{_hex(data)}/f")
                assert (reply.status, reply.body == data) == (200, True), f"{self.run} v{version} lost a file"

    def _found(self, client: Client) -> Record:
        """What the depot has, as any client reads it."""
        fields = """config summaryMetrics historyLineCount eventsLineCount logLineCount
            history(minStep: 0, maxStep: 1000000) events(samples: 1000000)
            logLines(first: 1000000) { edges { node { number line } } } files { edges { node { name sizeBytes } } }"""
        run = client.run_field(PROJECT, self.run, fields)
        nodes = [edge["node"] for edge in run["logLines"]["edges"]]
        lines = {
            "history": {json.loads(line)["_step"]: line for line in run["history"]},
            "events": {json.loads(line)["_step"]: line for line in run["events"]},
            "output": {node["number"]: node["line"] for node in nodes},
        }
        counts = (len(run["history"]), len(run["events"]), len(nodes))
        told = (run["historyLineCount"], run["eventsLineCount"], run["logLineCount"])
        assert counts == told == tuple(len(each) for each in lines.values()), "a line twice, or a count that is wrong"
        names = [edge["node"]["name"] for edge in run["files"]["edges"]]
        files = {name: client.keyed("GET", f"/files/tester/{PROJECT}/{self.run}/{name}").body for name in names}
        return Record(lines, run["config"], run["summaryMetrics"], files, self._found_versions(client))

    def _found_versions(self, client: Client) -> dict[int, str]:
        text = """query($p: String!, $c: String!) { project(name: $p, entityName: "tester") { artifactCollection(
            name: $c) { artifacts(first: 10000) { edges { node { versionIndex digest state } } } } } }"""
        series = _data(client.query(text, {"p": PROJECT, "c": self.run}))["project"]["artifactCollection"]
        nodes = [edge["node"] for edge in series["artifacts"]["edges"]] if series else []
        assert all(node["state"] == "COMMITTED" for node in nodes)
        found = {node["versionIndex"]: node["digest"] for node in nodes}
        assert len(found) == len(nodes)
        return found

    def _next(self) -> Request:
        kinds = (self._lines, self._lines, self._lines, self._file, self._file, self._edit, self._version, self._delete)
        return self._random.choice(kinds)()

    def _open(self, client: Client) -> None:
        client.open_run(PROJECT, self.run)
        self._opened = True

    def _lines(self) -> Request:
        """Lines of one or more streams, behind the others or over them, and a summary: stored together or not."""
        chosen = self._random.sample(sorted(_STREAMS), self._random.randint(1, 3))
        parts: dict[str, dict[int, str]] = {}
        for name in chosen:
            known = len(self.record.lines[name])
            first = max(0, known - self._random.choice((0, 0, 0, 1, 5)))
            count = self._random.choice((1, 3, 40, 400))
            parts[name] = {number: self._line(number) for number in range(first, max(known, first + count))}
        summary = json.dumps({"at": self._random.random()})
        files = {_STREAMS[name]: {"offset": min(part), "content": list(part.values())} for name, part in parts.items()}
        body = {"files": {**files, "wandb-summary.json": {"offset": 0, "content": [summary]}}}

        def effect(record: Record) -> None:
            record.summary = summary
            for name, part in parts.items():
                record.lines[name].update(part)

        return Request(lambda client: _ok(client.stream(PROJECT, self.run, body)), effect)

    def _line(self, number: int) -> str:
        return json.dumps({"_step": number, "noise": self._random.random()})

    def _file(self) -> Request:
        name = f"media/{self._random.randrange(6)}.bin"
        data = self._random.randbytes(self._random.choice((0, 100, 30_000, 300_000)))

        def send(client: Client) -> None:
            _ok(client.request("PUT", client.upload_address(PROJECT, self.run, name), data))

        return Request(send, lambda record: record.files.update({name: data}))

    def _edit(self) -> Request:
        config = json.dumps({"at": {"value": self._random.random()}})

        def effect(record: Record) -> None:
            record.config = config

        # Not `open_run`: opened again, a run asks the depot to leave out rows that come a second time.
        return Request(lambda client: self._upsert(client, config), effect)

    def _upsert(self, client: Client, config: str) -> None:
        run_id = client.run_field(PROJECT, self.run, "id")["id"]
        text = "mutation E($i: UpsertBucketInput!) { upsertBucket(input: $i) { inserted } }"
        _data(client.query(text, {"i": {"id": run_id, "config": config}}))

    def _version(self) -> Request:
        own = self._random.randbytes(self._random.choice((10, 50_000)))
        number, self._made = self._made, self._made + 1
        upload = ArtifactUpload(self.run, own, UUID(int=self._random.getrandbits(128)).hex)

        def send(client: Client) -> None:
            self._brought[number] = (upload.bring(client), own)

        return Request(send, lambda record: record.versions.update({number: upload.digest}))

    def _delete(self) -> Request:
        """One of the versions that are there, with its aliases; else a file."""
        if not self.record.versions or self._random.random() < 0.5:
            return self._delete_file()
        number = self._random.choice(sorted(self.record.versions))
        text = "mutation($i: DeleteArtifactInput!) { deleteArtifact(input: $i) { artifact { id } } }"

        def send(client: Client) -> None:
            _data(client.query(text, {"i": {"artifactID": self._brought[number][0], "deleteAliases": True}}))

        return Request(send, lambda record: record.versions.pop(number, None) and None)

    def _delete_file(self) -> Request:
        name = f"media/{self._random.randrange(6)}.bin"
        text = "mutation($i: DeleteFilesInput!) { deleteFiles(input: $i) { success } }"
        identifier = base64.b64encode(f"File:v1:{self.run}:{PROJECT}:tester:{name}".encode()).decode()
        return Request(
            lambda client: _data(client.query(text, {"i": {"files": [identifier]}})) and None,
            lambda record: record.files.pop(name, b"") and None,
        )


class ArtifactUpload:
    """One version of an artifact, brought as the official client brings it; repeating all of it is harmless."""

    def __init__(self, collection: str, own: bytes, client_id: str) -> None:
        self._collection = collection
        self._client_id = client_id
        self._files = {"own.bin": own, "shared.bin": _SHARED}
        entries = {name: {"digest": _md5(data), "size": len(data)} for name, data in self._files.items()}
        self._manifest = json.dumps({"version": 1, "contents": entries}).encode()
        self.digest = _hex(self._manifest + client_id.encode())

    def bring(self, client: Client) -> str:
        """The version's id."""
        text = "mutation($i: CreateArtifactInput!) { createArtifact(input: $i) { artifact { id state } } }"
        names = {"entityName": "tester", "projectName": PROJECT, "artifactCollectionName": self._collection}
        fields = {
            **names,
            "artifactTypeName": "data",
            "runName": self._collection,
            "digest": self.digest,
            "clientID": self._client_id,
        }
        fields |= {"digestAlgorithm": "MANIFEST_MD5"}
        version = _data(client.query(text, {"i": fields}))["createArtifact"]["artifact"]
        if version["state"] == "COMMITTED":
            return str(version["id"])
        manifest = self._announce(client, version["id"], "", False)
        self._put_files(client, version["id"], manifest["id"])
        made = self._announce(client, version["id"], _md5(self._manifest), True)["file"]
        _ok(client.request("PUT", made["uploadUrl"], self._manifest, _headers(made)))
        text = "mutation($i: CommitArtifactInput!) { commitArtifact(input: $i) { artifact { id } } }"
        _data(client.query(text, {"i": {"artifactID": version["id"]}}))
        return str(version["id"])

    def _announce(self, client: Client, version: str, digest: str, upload: bool) -> Any:
        text = """mutation($i: CreateArtifactManifestInput!, $u: Boolean!) { createArtifactManifest(input: $i)
            { artifactManifest { id file { id uploadUrl @include(if: $u) uploadHeaders } } } }"""
        fields = {"artifactID": version, "name": "wandb_manifest.json", "digest": digest, "type": "FULL"}
        fields |= {"entityName": "tester", "projectName": PROJECT, "runName": self._collection}
        reply = client.query(text, {"i": fields, "u": upload})
        return _data(reply)["createArtifactManifest"]["artifactManifest"]

    def _put_files(self, client: Client, version: str, manifest: str) -> None:
        text = """mutation($i: CreateArtifactFilesInput!) { createArtifactFiles(input: $i)
            { files { edges { node { uploadUrl uploadHeaders } } } } }"""
        files = [
            {"artifactID": version, "artifactManifestID": manifest, "name": name, "md5": _md5(data)}
            for name, data in self._files.items()
        ]
        reply = client.query(text, {"i": {"artifactFiles": files, "storageLayout": "V2"}})
        for edge, data in zip(_data(reply)["createArtifactFiles"]["files"]["edges"], self._files.values(), strict=True):
            if edge["node"]["uploadUrl"]:
                _ok(client.request("PUT", edge["node"]["uploadUrl"], data, _headers(edge["node"])))


def _nothing(_record: Record) -> None:
    """What a request changes that only opens."""


def load(client: Client, writers: list[Writer], seconds: float, least: int, kill: Callable[[], None]) -> None:
    """All writers at once until `kill` ends the depot: after `seconds`, and not before so many answers more."""
    wanted = least + sum(writer.acknowledged for writer in writers)

    def kill_under_load() -> None:
        try:
            until(lambda: sum(writer.acknowledged for writer in writers) >= wanted, f"{least} answers", every=0.001)
        finally:
            kill()

    with ThreadPoolExecutor(len(writers)) as pool:
        timer = threading.Timer(seconds, kill_under_load)
        timer.start()
        done = [pool.submit(writer.work, client) for writer in writers]
    timer.join()
    for each in done:
        each.result()


def _headers(node: Any) -> dict[str, str]:
    return dict(header.split(":", 1) for header in node["uploadHeaders"] or ())


def _ok(reply: Reply) -> None:
    assert reply.status == 200, (reply.status, reply.body[:300])


def _data(reply: Reply) -> Any:
    _ok(reply)
    return reply.json["data"]


def _hex(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _md5(data: bytes) -> str:
    return base64.b64encode(bytes.fromhex(_hex(data))).decode()


def _difference(found: Record, known: Record) -> str:
    """Where the depot and the record differ, in short."""
    parts = [
        f"{name}: {len(found.lines[name])} lines for {len(part)}" for name, part in known.lines.items()
        if found.lines[name] != part
    ]  # fmt: skip
    parts += [f"file {name}" for name in sorted({*found.files, *known.files})
              if found.files.get(name) != known.files.get(name)]  # fmt: skip
    parts += [f"version {number}" for number in sorted({*found.versions, *known.versions})
              if found.versions.get(number) != known.versions.get(number)]  # fmt: skip
    parts += [name for name in ("config", "summary") if getattr(found, name) != getattr(known, name)]
    return "lost or doubled: " + ", ".join(parts)
