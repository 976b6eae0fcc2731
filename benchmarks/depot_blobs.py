#!/usr/bin/env python3
"""Artifacts and media into a depot over an object store: through the depot, and straight to the store, by turns.

    benchmarks/depot_blobs.py                       4 clients; files of 64 MiB, then of 100 KiB
    benchmarks/depot_blobs.py --clients 8 --rounds 5

Each client brings the files of a version at once, then its manifest, and commits it; or it brings media of a run, and
asks how many there are, which is all of them. The clock runs over all of that.
The store is moto's server, a Python program on the same machine: it takes its share of the machine and bounds the rate
of both ways. What the depot itself has to do is its own processor time.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from depot_server import ENTITY, Server, at_once, own_depot, send

from backhaul.depot import Place

Bring = Callable[[Server, int, int, int], None]

_MIB = 1 << 20
_STORE = """
import time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
time.sleep(86400)
"""
_KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def own_store() -> Iterator[str]:
    """The address of a store with an empty bucket `runs`."""
    command = [sys.executable, "-c", _STORE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        send(connection, "PUT", "/runs", b"", {"Content-Type": "application/xml"})
        connection.close()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def bring(server: Server, number: int, size: int, count: int) -> None:
    """A version with so many files, each of other bytes."""
    common = random.Random(size).randbytes(size - 16)
    bodies = [common + f"{number:07d}{time.time_ns() % 10**4:04d}{index:05d}".encode() for index in range(count)]
    fields = {"entityName": ENTITY, "projectName": "blobs", "artifactTypeName": "t", "digestAlgorithm": "MANIFEST_MD5",
              "artifactCollectionName": f"c{number}", "digest": os.urandom(16).hex()}  # fmt: skip
    text = "mutation($i: CreateArtifactInput!) { createArtifact(input: $i) { artifact { id } } }"
    version = server.query(text, i=fields)["createArtifact"]["artifact"]["id"]
    digests = [_base64(body) for body in bodies]
    specs = [{"artifactID": version, "name": f"f{i}", "md5": md5} for i, md5 in enumerate(digests)]
    text = """mutation($i: CreateArtifactFilesInput!) { createArtifactFiles(input: $i) { files { edges { node {
        uploadUrl } } } } }"""
    edges = server.query(text, i={"artifactFiles": specs, "storageLayout": "V2"})["createArtifactFiles"]["files"][
        "edges"
    ]
    _put([edge["node"]["uploadUrl"] for edge in edges], bodies)
    entries = {f"f{i}": {"digest": md5, "size": size} for i, md5 in enumerate(digests)}
    manifest = json.dumps({"version": 1, "contents": entries}).encode()
    text = """mutation($i: CreateArtifactManifestInput!) { createArtifactManifest(input: $i) { artifactManifest {
        file { uploadUrl } } } }"""
    fields = {"artifactID": version, "name": "m", "digest": _base64(manifest), "entityName": "", "projectName": "blobs",
              "runName": "r"}  # fmt: skip
    made = server.query(text, i=fields)["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"]
    _put([made], [manifest])
    server.query("mutation($a: ID!) { commitArtifact(input: {artifactID: $a}) { artifact { id } } }", a=version)


def bring_media(server: Server, number: int, size: int, count: int) -> None:
    """A run with so many media files, each of other bytes."""
    common = random.Random(size).randbytes(size - 5)
    run = f"r{number}-{os.urandom(4).hex()}"
    text = "mutation($i: UpsertBucketInput!) { upsertBucket(input: $i) { bucket { id } } }"
    server.query(text, i={"name": run, "modelName": "media", "entityName": ENTITY})
    text = """mutation($r: String!, $e: String!, $f: [String!]!) { createRunFiles(input: {entityName: $e,
        projectName: "media", runName: $r, files: $f}) { files { uploadUrl } } }"""
    names = [f"media/images/{index}.png" for index in range(count)]
    made = server.query(text, r=run, e=ENTITY, f=names)["createRunFiles"]["files"]
    _put([file["uploadUrl"] for file in made], [common + b"%05d" % index for index in range(count)])
    text = """query($r: String!, $e: String!) { project(name: "media", entityName: $e) { run(name: $r) {
        fileCount } } }"""
    assert server.query(text, r=run, e=ENTITY)["project"]["run"]["fileCount"] == count


def _put(addresses: list[str], bodies: list[bytes]) -> None:
    """To whichever host the addresses are for."""
    connection = http.client.HTTPConnection(urlsplit(addresses[0]).netloc, timeout=600)
    for address, body in zip(addresses, bodies, strict=True):
        path = address.partition(urlsplit(address).netloc)[2]
        headers = {"Content-MD5": _base64(body), "Content-Type": "application/octet-stream"}
        send(connection, "PUT", path, body, headers)
    connection.close()


def _base64(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ.update(_KEYS)
    with ExitStack() as stack:
        store = stack.enter_context(own_store())
        depots = {}
        for way, more in (("through", ["--no-direct-uploads"]), ("straight", [])):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            more = ["--blobs", f"s3://runs/{way}", "--s3-endpoint", store, *more]
            depots[way] = stack.enter_context(own_depot(Place(folder), options=more))
        for what in (bring, bring_media):
            for size, count in ((64 * _MIB, 2), (100 * 1024, 100)):
                _compare(what, depots, options, size, count)


def _compare(what: Bring, depots: dict[str, Server], options: argparse.Namespace, size: int, count: int) -> None:
    total = size * count * options.clients
    rates: dict[str, list[float]] = {way: [] for way in depots}
    costs: dict[str, list[float]] = {way: [] for way in depots}
    for _ in range(options.rounds):  # by turns, so that a busy neighbour disturbs both
        for way, server in depots.items():
            before = server.cpu()
            seconds = at_once(options.clients, lambda number, at=server: what(at, number, size, count))  # type: ignore[misc]
            rates[way].append(total / seconds / 1e6)
            costs[way].append((server.cpu() - before) / (total / 1e9))
    for way in depots:
        print(
            f"{way:9} {median(rates[way]):8,.0f} MB/s   {median(costs[way]):6.2f} s of the depot's processor per GB"
            f"   {options.clients} clients, {count} {'files' if what is bring else 'media'} of {size // 1024} KiB each"
        )


if __name__ == "__main__":
    main()
