#!/usr/bin/env python3
"""How fast the depot is: lines taken in, files taken in, charts and keys of a long run, lists of many runs.

    benchmarks/depot.py                         everything, over a depot of its own in a temporary folder
    benchmarks/depot.py intake --lines 100      one part; requests of 100 lines
    benchmarks/depot.py chart                   charts and keys of a run of a million rows
    benchmarks/depot.py list                    pages of a project of 100,000 runs
    benchmarks/depot.py intake --db URL --depots 2             everything but files in PostgreSQL, two processes
    benchmarks/depot.py --data DIR              the data stay there, and are found again
    benchmarks/depot.py intake upload --url URL --key KEY      another server that speaks W&B

The clients are on the same machine, and take their share of it: processor time of the server is told beside wall time.
Requests are made ready before the clock runs, so that the clients only send. Everything is asked back afterwards.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from depot_reading import chart, lists, make_runs
from depot_server import ENTITY, PostgresServer, Server, at_once, own_depot, send
from results import note

from backhaul.depot import Place

_DISTINCT_ROWS = 20_000
_MIB = 1 << 20


def history_rows(count: int, metrics: int, seed: int = 1) -> list[str]:
    """Rows as the SDK's engine writes them; the keys stand in any order."""
    chance = random.Random(seed)
    names = [f"train/metric_{number}" for number in range(metrics)]
    rows = []
    for step in range(count):
        pairs = [(name, chance.gauss(1, 0.3)) for name in names]
        pairs += [("_step", step), ("_runtime", step / 10 + chance.random()), ("_timestamp", 1.79e9 + step / 10)]
        chance.shuffle(pairs)
        rows.append(json.dumps(dict(pairs), separators=(",", ":")))
    return rows


def intake(server: Server, options: argparse.Namespace) -> None:
    """Lines of history from several clients at once, each with a run of its own."""
    project = f"intake-{time.time_ns()}"
    rows = history_rows(max(_DISTINCT_ROWS, options.lines), options.metrics)
    starts = range(0, len(rows) - options.lines + 1, options.lines)
    contents = [json.dumps(rows[start : start + options.lines]).encode() for start in starts]
    requests = max(1, options.rows // options.lines // options.clients)
    for number in range(options.clients):
        server.open_run(project, f"run-{number}")

    def work(number: int) -> None:
        connection = server.connect(number)
        for turn in range(requests):
            body = (
                b'{"files":{"wandb-history.jsonl":{"offset":%d,"content":%s},"wandb-summary.json":{"offset":0,'
                % (
                    turn * options.lines,
                    contents[turn % len(contents)],
                )
                + b'"content":[%s]}}}' % json.dumps(rows[turn]).encode()
            )
            path = f"/files/{ENTITY}/{project}/run-{number}/file_stream"
            send(connection, "POST", path, body, server.headers | {"Content-Type": "application/json"})
        connection.close()

    database = PostgresServer(options.db) if options.db else None
    before, base = server.cpu(), database.cpu() if database else 0
    seconds = at_once(options.clients, work)
    lines = options.clients * requests * options.lines
    size = sum(map(len, rows)) / len(rows)
    note("intake", lines=lines, seconds=seconds, server_cpu=server.cpu() - before, lines_a_request=options.lines)
    print(
        f"intake    {lines / seconds:12,.0f} lines/s   {lines:,} of {size:.0f} bytes, {options.lines} a request,"
        f" {options.clients} clients, {seconds:.2f} s: {options.clients * requests / seconds:,.0f} requests/s;"
        f" server {server.cpu() - before:.2f} s of processor time"
        + (f", database {database.cpu() - base:.2f} s" if database else "")
    )
    _check_lines(server, project, options.clients, requests * options.lines)


def _check_lines(server: Server, project: str, clients: int, wanted: int) -> None:
    text = "query($p: String!, $e: String!, $r: String!) {project(name: $p, entityName: $e)"
    text += " {run(name: $r) {historyLineCount}}}"
    for number in range(clients):
        found = server.query(text, p=project, e=ENTITY, r=f"run-{number}")["project"]["run"]["historyLineCount"]
        if found != wanted:
            print(f"          run-{number} has {found} lines instead of {wanted}")


def opening(server: Server, options: argparse.Namespace) -> None:
    """Runs that begin, from several clients at once, in one project."""
    project = f"opening-{time.time_ns()}"
    count = 250

    def work(number: int) -> None:
        for turn in range(count):
            server.open_run(project, f"run-{number}-{turn}", number)

    before = server.cpu()
    seconds = at_once(options.clients, work)
    print(
        f"opening   {options.clients * count / seconds:12,.0f} runs/s    {options.clients * count:,} runs,"
        f" {options.clients} clients, {seconds:.2f} s; server {server.cpu() - before:.2f} s of processor time"
    )


def upload(server: Server, options: argparse.Namespace) -> None:
    """Files from several clients at once: into the depot, and into a bare loop that does the same to the bytes."""
    for size, count in ((64 * _MIB, 4), (100 * 1024, 200)):
        body = random.Random(1).randbytes(size)
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        headers = {"Content-MD5": md5, "Content-Type": "application/octet-stream"}
        with tempfile.TemporaryDirectory(dir=options.data) as folder, _bare_loop(Path(folder)) as bare:
            addresses = _upload_addresses(server, options.clients, count)
            rates: dict[str, list[float]] = {"depot": [], "bare loop": []}
            for _ in range(3):  # by turns, so that a busy neighbour disturbs both
                rates["bare loop"].append(_put_all(bare, [["/"] * count] * options.clients, body, headers))
                rates["depot"].append(_put_all(server, addresses, body, headers))
        best = {name: max(found) for name, found in rates.items()}
        share = best["depot"] / best["bare loop"]
        note(f"upload of {size // 1024} KiB", **{name.replace(" ", "_"): rate for name, rate in best.items()})
        print(
            f"upload    {best['depot']:12,.0f} MB/s      files of {size // 1024} KiB from {options.clients} clients;"
            f" bare loop {best['bare loop']:,.0f} MB/s: {share:.0%}"
        )


def _upload_addresses(server: Server, clients: int, count: int) -> list[list[str]]:
    text = """mutation($p: String!, $e: String!, $r: String!, $f: [String!]!) { createRunFiles(input:
        {entityName: $e, projectName: $p, runName: $r, files: $f}) { files { uploadUrl } } }"""
    project = f"upload-{time.time_ns()}"
    found = []
    for number in range(clients):
        server.open_run(project, f"run-{number}")
        names = [f"file-{index}" for index in range(count)]
        answer = server.query(text, p=project, e=ENTITY, r=f"run-{number}", f=names)
        urls = [urlsplit(file["uploadUrl"]) for file in answer["createRunFiles"]["files"]]
        found.append([f"{url.path}?{url.query}" for url in urls])
    return found


def _put_all(server: Server, addresses: list[list[str]], body: bytes, headers: dict[str, str]) -> float:
    """Megabytes a second."""

    def work(number: int) -> None:
        connection = server.connect()
        for path in addresses[number]:
            send(connection, "PUT", path, body, headers)
        connection.close()

    seconds = at_once(len(addresses), work)
    return len(body) * sum(map(len, addresses)) / seconds / 1e6


@contextmanager
def _bare_loop(folder: Path) -> Iterator[Server]:
    """The least that an upload costs: a process with a thread a connection that reads, hashes, writes and fsyncs."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        child = os.fork()
        if child == 0:
            _serve_bare(listener, folder)
        try:
            yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}", "")
        finally:
            os.kill(child, 15)
            os.waitpid(child, 0)


def _serve_bare(listener: socket.socket, folder: Path) -> None:
    def serve(connection: socket.socket) -> None:
        stream = connection.makefile("rb", buffering=0)
        for number in range(1 << 30):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                piece = stream.readline()
                if not piece:
                    return
                head += piece
            left = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            _keep_bare(connection, folder / f"{connection.fileno()}-{number}", left)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def _keep_bare(connection: socket.socket, path: Path, left: int) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    buffer = memoryview(bytearray(_MIB))
    with path.open("wb", buffering=0) as file:
        while left:
            size = connection.recv_into(buffer, min(left, len(buffer)))
            digest.update(buffer[:size])
            file.write(buffer[:size])
            left -= size
        os.fsync(file.fileno())


PARTS: dict[str, Callable[[Server, argparse.Namespace], None]] = {
    "intake": intake,
    "opening": opening,
    "upload": upload,
    "chart": chart,
    "list": lists,
}


def main() -> None:
    """Measures, as the options say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; default: everything")
    parser.add_argument("--clients", type=int, default=8, help="clients at once (%(default)s)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="lines in all (%(default)s)")
    parser.add_argument("--lines", type=int, default=1000, help="lines a request (%(default)s)")
    parser.add_argument("--metrics", type=int, default=3, help="metrics a row, beside step and times (%(default)s)")
    parser.add_argument("--runs", type=int, default=100_000, help="runs in the project that is listed (%(default)s)")
    parser.add_argument("--data", type=Path, help="the depot's folder; default: a temporary one")
    parser.add_argument("--db", help="keep everything but files in this PostgreSQL database")
    parser.add_argument("--depots", type=int, default=1, help="processes over that database (%(default)s)")
    parser.add_argument("--url", help="measure this server instead of a depot of its own")
    parser.add_argument("--key", default="", help="the API key there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.data = options.data or Path(folder)
        if options.url:
            _measure(Server(options.url, options.key), options)
        else:
            place = Place(options.data, database=options.db)
            if "list" in (options.parts or PARTS):
                make_runs(place, options.runs)
            with own_depot(place, options.depots) as server:
                _measure(server, options)


def _measure(server: Server, options: argparse.Namespace) -> None:
    for name in options.parts or PARTS:
        PARTS[name](server, options)


if __name__ == "__main__":
    main()
