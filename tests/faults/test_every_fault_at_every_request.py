"""The fault matrix: each thing that networks and servers do, at each request of a sync; afterwards all is there once.

Real sockets, a real depot; only the command line is left out, so that hundreds of syncs take minutes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiohttp import web

from backhaul.sync.outcome import Outcome, RunState

from ..command import copied
from ..conftest import DepotProcess
from ..depot_contents import held
from ..fault_proxy import Exchange, Fault, FaultProxy, answer, lose_answer, refusal, reset, stall
from ..in_process import synced

_BURST = 2


def _raw(change: Callable[[bytes, bytes], bytes], *, drip: float = 0.0, half: bool = False) -> Fault:
    """The depot's answer (head and body) as other bytes; byte by byte every `drip` seconds; then a close.

    With `half` our side says that it is at its end and goes on listening.
    """

    async def fault(exchange: Exchange) -> web.StreamResponse:
        truth = await exchange.forward(exchange.seen.body)
        body = truth.body if isinstance(truth.body, bytes) else b""
        head = f"HTTP/1.1 {truth.status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        sent = change(head.encode(), body)
        transport = exchange.request.transport
        assert transport is not None
        assert isinstance(transport, asyncio.Transport)
        for piece in [sent[place : place + 1] for place in range(len(sent))] if drip else [sent]:
            transport.write(piece)
            await asyncio.sleep(drip)
        if half and transport.can_write_eof():
            transport.write_eof()
            await asyncio.sleep(0.1)
        transport.close()
        return truth

    return fault


def _cut(share: float) -> Fault:
    """The connection ends after that share of the answer."""
    return _raw(lambda head, body: (head + body)[: int(share * len(head + body))])


FAULTS: dict[str, Fault] = {
    "reset before": reset,
    "answer lost": lose_answer,
    "cut in the head": _cut(0.2),
    "cut in the body": _raw(lambda head, body: head + body[: len(body) // 2]),
    "cut before the last byte": _raw(lambda head, body: (head + body)[:-1]),
    "stall": stall,
    "dripping": _raw(lambda head, body: head + body, drip=0.001),
    "half-close": _raw(lambda head, body: (head + body)[:-1], half=True),
    "length too large": _raw(lambda head, body: head.replace(b"Content-Length: ", b"Content-Length: 9") + body),
    "500": refusal(500),
    "502": answer(502, "<html>bad gateway</html>"),
    "503": refusal(503),
    "429": refusal(429, "slow down", Retry_After="0"),
    "504 after it was stored": _raw(lambda *_: b"HTTP/1.1 504 Gateway\r\nContent-Length: 0\r\n\r\n"),
}
# What a sync of the healthy run asks for, with how many of its kind came before.
REQUESTS = [
    ("RunResumeStatus", 0),
    ("ServerFeaturesQuery", 0),
    ("UpsertBucket", 0),
    ("put", 0),
    ("put", 3),
    ("file_stream", 0),
    ("RunResumeStatus", 1),
]


def _assert_home_once(depot: DepotProcess, proxy: FaultProxy, outcome: Outcome, project: str) -> None:
    assert (outcome.state, outcome.error) == (RunState.VERIFIED, None)
    there = held(depot.data, project, "healthy")
    assert [row["loss"] for row in there.rows] == [1 / (step + 1) for step in range(300)]
    assert there.console == [*(f"line {step}" for step in range(0, 300, 10)), "ERROR an error line"]
    assert there.files["saved.txt"] == b"saved " * 500
    assert (there.run.state, there.summary["loss"]) == ("finished", 1 / 300)
    numbers: dict[tuple[str, int], set[str]] = {}
    for stream, number, line in proxy.lines():
        numbers.setdefault((stream, number), set()).add(line)
    assert all(len(lines) == 1 for lines in numbers.values()), "one number, two lines"


@contextmanager
def _copy(original: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    name = uuid4().hex[:12]
    yield copied(original, folder / name), f"m-{name}"


def _meet(depot: DepotProcess, original: Path, folder: Path, fault: str, kind: str, skip: int, times: int) -> None:
    with FaultProxy(depot.url) as proxy, _copy(original, folder) as (run, project):
        proxy.on(kind, FAULTS[fault], skip=skip, times=times)
        outcome = synced(proxy.url, depot.api_key, run, project, folder / "state")
        assert len(proxy.of(kind)) > skip, "the sync never came to this request"
        _assert_home_once(depot, proxy, outcome, project)


@pytest.mark.parametrize(
    ("fault", "kind", "skip"),
    [
        (fault, *REQUESTS[(5 * place) % len(REQUESTS)])
        for place, fault in enumerate(name for name in FAULTS if name != "dripping")
    ],
)
def test_each_fault_is_outlived(
    depot: DepotProcess, healthy_original: Path, tmp_path: Path, fault: str, kind: str, skip: int
) -> None:
    """Each at one of the requests; the sync ends verified, and every line is there once under one number."""
    _meet(depot, healthy_original, tmp_path, fault, kind, skip, 1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_at_each_request_is_outlived(
    depot: DepotProcess, healthy_original: Path, tmp_path: Path, fault: str
) -> None:
    """The whole matrix, each fault once and as a burst."""
    for kind, skip in REQUESTS:
        for times in (1, _BURST):
            try:
                _meet(depot, healthy_original, tmp_path, fault, kind, skip, times)
            except BaseException as error:
                raise AssertionError(f"{fault} at {kind} {skip}, {times} times: {error}") from error


@pytest.mark.parametrize(
    ("kind", "skip"),
    [pytest.param(*request, marks=[pytest.mark.soak] if place % 5 else []) for place, request in enumerate(REQUESTS)],
)
def test_a_proxy_that_refuses_is_told_and_the_next_sync_brings_the_rest(
    depot: DepotProcess, healthy_original: Path, tmp_path: Path, kind: str, skip: int
) -> None:
    """A 407 does not pass by itself: the sync ends there and says so; what arrived before is not sent again."""
    with FaultProxy(depot.url) as proxy, _copy(healthy_original, tmp_path) as (run, project):
        proxy.on(kind, answer(407), skip=skip)
        outcome = synced(proxy.url, depot.api_key, run, project, tmp_path / "state")
        told = outcome.error.code if outcome.error else [item.reason for item in outcome.quarantined]
        assert told == "proxy-refused", f"407 at {kind} was told as {told}"
        again = synced(proxy.url, depot.api_key, run, project, tmp_path / "state")
        _assert_home_once(depot, proxy, again, project)


def test_names_that_cannot_be_found_for_a_while_are_outlived(
    depot: DepotProcess, healthy_original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolver fails for the first three questions."""
    failures = iter(range(3))
    real = socket.getaddrinfo

    def failing(host: object, *arguments: object, **more: object) -> object:
        if host == "localhost" and next(failures, None) is not None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real(host, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", failing)
    with FaultProxy(depot.url) as proxy, _copy(healthy_original, tmp_path) as (run, project):
        outcome = synced(proxy.url, depot.api_key, run, project, tmp_path / "state")
        assert next(failures, None) is None, "the resolver was not asked"
        _assert_home_once(depot, proxy, outcome, project)
