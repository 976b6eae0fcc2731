"""A saved file that is written to while it is sent: one consistent version arrives, or it is quarantined by name."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from aiohttp import web

from ..command import Backhaul
from ..conftest import DepotProcess
from ..depot_contents import held
from ..fault_proxy import Exchange, FaultProxy, answer, reset


def test_a_file_that_changes_once_goes_in_its_new_version(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """The saved file's first try is cut, and it is rewritten, longer, at that moment."""
    saved = _own_file(healthy)

    async def rewrite(exchange: Exchange) -> web.StreamResponse:
        if not exchange.seen.body.startswith(b"saved"):
            return await exchange.forward(exchange.seen.body)
        saved.write_bytes(b"another version " * 2000)
        return await reset(exchange)

    proxy.always("put", rewrite)
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, done.only["quarantined"]) == (0, [])
    assert held(depot.data, project, "healthy").files["saved.txt"] == b"another version " * 2000


def test_a_file_that_changes_all_the_time_is_quarantined(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """It is named, the rest of the run is there, and the command ends."""
    saved = _own_file(healthy)
    number = count()

    async def rewrite(exchange: Exchange) -> web.StreamResponse:
        if not exchange.seen.body.startswith((b"saved", b"version")):
            return await exchange.forward(exchange.seen.body)
        saved.write_bytes(b"version %d" % next(number))
        return await answer(503)(exchange)

    proxy.always("put", rewrite)
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert done.exit_code == 6, done.stdout
    (item,) = done.only["quarantined"]
    assert (done.exit_code, item["what"]) == (6, "file saved.txt")
    assert "again and again" in item["reason"]


def _own_file(run: Path) -> Path:
    """The saved file as a file of this copy: `run.save` had made a link to one that all tests share."""
    saved = run / "files" / "saved.txt"
    content = saved.read_bytes()
    saved.unlink()
    saved.write_bytes(content)
    return saved
