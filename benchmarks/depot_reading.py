"""How fast the depot answers: charts and keys of a long run, pages of a project of many runs."""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

from depot_server import ENTITY, Server, send
from results import note

from backhaul.depot import Place
from backhaul.depot.store import runs
from backhaul.depot.store.database import Connection

_PROJECT = "many"
_TIMES = 7  # each question is asked so often; the first answer and the middle one of the others are told
_INSERT = (
    "INSERT INTO runs (project_id, name, display_name, state, config, summary, run_group, created_at, updated_at,"
    " heartbeat_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_RUNS = """query($p: String!, $e: String!, $f: JSONString, $o: String) { project(name: $p, entityName: $e) {
    runCount(filters: $f) runs(first: 50, filters: $f, order: $o) { edges { node {
    id name displayName state config summaryMetrics createdAt heartbeatAt tags } } } } }"""
_KEYS = """query($p: String!, $e: String!, $r: String!) {
    project(name: $p, entityName: $e) { run(name: $r) { historyKeys } } }"""
_BROAD: dict[str, Any] = {"config.lr": {"$gt": 0.01}}
_NARROW: dict[str, Any] = {"$and": [{"config.optimizer": "adam"}, {"summary_metrics.loss": {"$lt": 0.01}}]}


def chart(server: Server, options: argparse.Namespace) -> None:
    """A metric of a long run: before its rows are digested, and afterwards."""
    project = f"chart-{time.time_ns()}"
    server.open_run(project, "long")
    _send_rows(server, f"/files/{ENTITY}/{project}/long/file_stream", options.rows)
    cookie = server.sign_in()
    page = f"/{ENTITY}/{project}/runs/long/series?"
    for name, wanted in (("a chart", {"key": "loss"}), ("over time", {"key": "loss", "axis": "_timestamp"})):
        _told(server, f"chart     {name}, just taken in", lambda wanted=wanted: _asked(server, cookie, page, wanted), 1)
    settle(server)
    zoom = {"key": "loss", "from": options.rows // 2, "to": options.rows // 2 + 5000}
    for name, wanted in (
        ("a chart", {"key": "loss"}),
        ("over time", {"key": "loss", "axis": "_timestamp"}),
        ("5,000 steps of it", zoom),
    ):
        _told(server, f"chart     {name}, digested", lambda wanted=wanted: _asked(server, cookie, page, wanted))
    _told(server, "keys      digested", lambda: server.query(_KEYS, p=project, e=ENTITY, r="long"))


def _send_rows(server: Server, path: str, count: int) -> None:
    connection = server.connect()
    for start in range(0, count, 1000):
        rows = [
            f'{{"loss":{math.sin(step / 9999):.6f},"acc":{step % 997},"_step":{step},"_runtime":{step / 10},'
            f'"_timestamp":{1.79e9 + step / 10}}}'
            for step in range(start, min(start + 1000, count))
        ]
        body = json.dumps({"files": {"wandb-history.jsonl": {"offset": start, "content": rows}}}).encode()
        send(connection, "POST", path, body, server.headers | {"Content-Type": "application/json"})
    connection.close()


def lists(server: Server, _options: argparse.Namespace) -> None:
    """Pages of a project's runs, by GraphQL as the SDK asks and as a page."""
    settle(server)
    for name, filters, order in (
        ("newest", {}, "-created_at"),
        ("by state", {"state": "finished"}, "-created_at"),
        ("narrow filter", _NARROW, "-created_at"),
        ("broad filter", _BROAD, "-created_at"),
        ("by config", {}, "-config.lr.value"),
        ("by summary", {}, "+summary_metrics.loss"),
        ("narrow filter, by summary", _NARROW, "+summary_metrics.loss"),
        ("broad filter, by config", _BROAD, "-config.lr.value"),
        ("broad filter, by summary", _BROAD, "+summary_metrics.loss"),
        ("broad filter, by a key of few", _BROAD, "+summary_metrics.rare"),
    ):
        asked = {"p": _PROJECT, "e": ENTITY, "f": json.dumps(filters), "o": order}
        _told(server, f"list      {name}", lambda asked=asked: server.query(_RUNS, **asked))
    cookie = server.sign_in()
    page = f"/{ENTITY}/{_PROJECT}?"
    for name, wanted in (
        ("newest", {}),
        ("by summary", {"sort": "+summary_metrics.loss"}),
        ("with a text in a name", {"q": "RUN-77"}),
        ("broad filter, by config", {"where": "config.lr > 0.01", "sort": "-config.lr"}),
    ):
        _told(server, f"page      {name}", lambda wanted=wanted: _asked(server, cookie, page, wanted))


def make_runs(place: Place, count: int) -> None:
    """Finished runs, written straight into a store that no depot has open; those that are there stay."""
    chance = random.Random(1)
    now = time.time()

    def write(connection: Connection) -> None:
        home = runs.make_project(connection, ENTITY, _PROJECT, now)
        (have,) = connection.execute("SELECT count(*) FROM runs WHERE project_id = ?", (home.id,)).fetchone()
        connection.executemany(_INSERT, (_row(chance, home.id, number, now) for number in range(have, count)))

    with closing(place.open_database()) as database:
        database.write(write)


def _row(chance: random.Random, project_id: int, number: int, now: float) -> tuple[Any, ...]:
    config = {
        "lr": chance.choice((0.1, 0.03, 0.01, 0.003, chance.random())),
        "optimizer": chance.choice(("adam", "sgd", "lion")),
        "seed": number,
        "model": {"layers": chance.randrange(2, 48), "width": 1 << chance.randrange(6, 13)},
        "dataset": f"set-{number % 40}",
    }
    summary = {"loss": chance.random(), "acc": chance.random(), "_step": chance.randrange(10**6), "_runtime": number}
    if number % 1000 == 0:
        summary["rare"] = number
    wrapped = json.dumps({key: {"value": value} for key, value in config.items()})
    state, made = ("failed", "finished")[number % 10 > 0], now - 30 * 86400 + number
    name = f"run-{number}"
    return project_id, name, name, state, wrapped, json.dumps(summary), f"group-{number % 100}", made, made, made


def settle(server: Server) -> None:
    """Waits until the server has nothing left to do at leisure."""
    start, before = time.perf_counter(), math.nan
    while server.cpu() - before >= 0.05 or math.isnan(before):
        before = server.cpu()
        time.sleep(1)
    print(f"          {time.perf_counter() - start:10.1f} s until the server was idle")


def _asked(server: Server, cookie: str, path: str, wanted: dict[str, Any]) -> None:
    server.ask("GET", path + urlencode(wanted | {"format": "json"}), Cookie=cookie)


def _told(server: Server, name: str, ask: Callable[[], Any], times: int = _TIMES) -> None:
    """Wall time, which neighbours on the machine lengthen, and the server's processor time, which they do less."""
    seconds, busy = [], server.cpu()
    for _ in range(times):
        start = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - start)
    rest = f", then {1000 * sorted(seconds[1:])[len(seconds) // 2 - 1]:.0f} ms" if times > 1 else ""
    busy = 1000 * (server.cpu() - busy) / times
    later = sorted(seconds[1:])[len(seconds) // 2 - 1] if times > 1 else None
    note(" ".join(name.split()), first=seconds[0], then=later, cpu=busy / 1000)
    print(f"{name:45} {1000 * seconds[0]:10,.0f} ms{rest}; {busy:.0f} ms of processor time each", flush=True)
