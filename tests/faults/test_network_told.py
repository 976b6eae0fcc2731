"""Networks that stand in the way, each recognised by its name; and many runs before a server that is away or busy."""

from __future__ import annotations

import json
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from ..command import Backhaul, copy_of, marker_of
from ..conftest import DepotProcess
from ..depot_contents import held
from ..fault_proxy import Exchange, FaultProxy, answer, lying, refusal, reset

_RUNS = ("0.31.0", "0.31.0-killed", "0.18.7", "0.17.9", "0.16.6")


def test_a_storage_host_that_is_blocked(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str, closed_port: int
) -> None:
    """The API answers and the storage does not: told within seconds by both names, the lines have arrived already."""
    blocked = f"//127.0.0.1:{closed_port}/"
    own = proxy.url.partition(":")[2] + "/"

    def elsewhere(told: object) -> object:
        text = json.dumps(told)
        for address in (own, depot.url.partition(":")[2] + "/"):
            text = text.replace(address, blocked)
        return json.loads(text)

    proxy.always("CreateRunFiles", lying(elsewhere))
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    error = done.only["error"]
    assert (error["code"], done.exit_code, done.only["state"]) == ("storage-unreachable", 5, "blocked"), done.stderr
    assert f"127.0.0.1:{closed_port}" in error["message"]
    assert proxy.url.rpartition("/")[2] in error["message"]
    assert len(held(depot.data, project, "healthy").rows) == 300
    proxy.heal()
    assert backhaul.to(proxy.url).sync(healthy, "-p", project).exit_code == 0


def test_an_upload_address_that_has_expired_is_asked_for_anew(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """The store says that the address is too old: a new one is fetched, and the file arrives."""
    proxy.on("put", answer(403, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"))
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert len(proxy.of("CreateRunFiles")) == 2


def test_a_server_that_gives_no_second_address_for_a_file(backhaul: Backhaul, proxy: FaultProxy, healthy: Path) -> None:
    """The file is set aside with the reason, and the others arrive."""

    def unwanted(told: Any) -> Any:
        for file in told["data"]["createRunFiles"]["files"]:
            file["uploadUrl"] = None
        return told

    proxy.on("put", answer(403, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"))
    proxy.on("CreateRunFiles", lying(unwanted), skip=1)
    done = backhaul.to(proxy.url).sync(healthy)
    (item,) = done.only["quarantined"]
    assert (done.exit_code, item["reason"]) == (6, "the server gave no address to upload it to"), done.stderr
    assert done.only["files"]["remote"] == done.only["files"]["local"] - 1


@pytest.mark.parametrize(
    ("kind", "fault", "code", "next_step"),
    [
        ("file_stream", answer(200, "<html><title>Guest network</title></html>"), "captive-portal", "log in"),
        ("UpsertBucket", answer(302, Location="http://portal.example/login"), "captive-portal", "log in"),
        ("UpsertBucket", refusal(403, "team storage limit reached"), "quota-exceeded", "storage"),
        ("put", answer(507, "no space"), "quota-exceeded", "storage"),
        ("put", answer(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>"), "clock-wrong", "clock"),
    ],
)
def test_what_the_user_has_to_mend_is_told_at_once(
    backhaul: Backhaul,
    proxy: FaultProxy,
    healthy: Path,
    project: str,
    kind: str,
    fault: object,
    code: str,
    next_step: str,
) -> None:
    """Exit 4, not tried again, not marked; the next step says what to do."""
    proxy.always(kind, fault)
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    error = done.only["error"]
    assert (error["code"], done.exit_code, done.only["state"]) == (code, 4, "blocked"), done.stderr
    assert next_step in error["next"]
    assert "trying again" not in done.stderr
    assert not marker_of(healthy).exists()


def test_a_certificate_that_is_not_valid_yet_is_a_matter_of_the_clock(
    backhaul: Backhaul, depot: DepotProcess, healthy: Path, tmp_path: Path
) -> None:
    """A machine without a battery wakes up years ago: the error says what its clock says."""
    authority = trustme.CA()
    today = datetime.now(UTC)
    tomorrow = today + timedelta(days=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", not_before=tomorrow, not_after=tomorrow + timedelta(days=9)).configure_cert(
        context
    )
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with FaultProxy(depot.url, context) as through:
        done = backhaul.to(through.url).with_env(SSL_CERT_FILE=str(bundle)).sync(healthy)
    assert (done.only["error"]["code"], done.exit_code) == ("clock-wrong", 4), done.stderr
    # Midnight may have passed meanwhile.
    assert any(f"{day:%Y-%m-%d}" in done.only["error"]["message"] for day in (today, datetime.now(UTC)))


def test_many_runs_before_a_dead_server_ask_it_as_often_as_one(
    backhaul: Backhaul, proxy: FaultProxy, tmp_path: Path
) -> None:
    """Five runs at once, eight seconds: after the first failures one request at a time looks whether it is back."""
    for name in _RUNS:
        copy_of(name, tmp_path / "work")
    proxy.always("RunResumeStatus", reset)
    done = backhaul.to(proxy.url).sync(tmp_path / "work", "-j", "5", "--deadline", "8")
    assert {run["error"]["code"] for run in done.document["runs"]} == {"deadline"}
    # Each by itself would ask some five times.
    assert 5 <= len(proxy.seen) <= 15


def test_a_server_that_counts_requests_is_hardly_ever_asked_too_often(
    backhaul: Backhaul, proxy: FaultProxy, tmp_path: Path, project: str
) -> None:
    """Twelve questions in two seconds are allowed, and said in headers: five runs at once hardly meet a refusal.

    Where one window of the server's ends and the next begins, what was on its way may be one too many.
    """
    for name in _RUNS:
        copy_of(name, tmp_path / "work")
    window = [time.monotonic(), 0.0]
    refused: list[str] = []

    async def counted(exchange: Exchange) -> web.StreamResponse:
        now = time.monotonic()
        if now >= window[0] + 2:
            window[:] = [now, 0]
        window[1] += 1
        if window[1] > 12:
            refused.append(exchange.seen.kind)
            return await refusal(429)(exchange)
        response = await exchange.forward(exchange.seen.body)
        left = {"Limit": 12, "Remaining": int(12 - window[1]), "Reset": window[0] + 2 - now}
        for name, value in left.items():
            response.headers[f"RateLimit-{name}"] = str(value)
        return response

    for kind in ("RunResumeStatus", "ServerFeaturesQuery", "UpsertBucket", "CreateRunFiles"):
        proxy.always(kind, counted)
    done = backhaul.to(proxy.url).sync(tmp_path / "work", "-p", project, "-j", "5")
    assert {run["error"] and run["error"]["code"] for run in done.document["runs"]} <= {None, "log-damaged"}, (
        done.stderr
    )
    assert len(refused) <= 3
