"""The pace: rates and timetables by a clock of the test's own, and one real request that takes its time."""

from __future__ import annotations

import time

import pytest
from aiohttp import web

from backhaul.errors import UsageError
from backhaul.wire.message import Request
from backhaul.wire.pace import Pace, Timetable
from backhaul.wire.transport import HttpTransport

from ...steady_loop import run_steadily

_NIGHT = "08:00,512k 19:00,off"


@pytest.mark.parametrize(
    ("text", "minute", "rate"),
    [
        ("2M", 0, 2 << 20),
        ("1.5k", 700, 1536),
        ("off", 5, None),
        (_NIGHT, 8 * 60 - 1, None),
        (_NIGHT, 8 * 60, 512 << 10),
        (_NIGHT, 19 * 60 - 1, 512 << 10),
        (_NIGHT, 19 * 60, None),
        ("19:00,1M 8:00,2k", 3, 1 << 20),
    ],
)
def test_a_rate_and_a_timetable_say_how_fast_and_when(text: str, minute: int, rate: float | None) -> None:
    """Before its first change a timetable is where its last one left it the evening before."""
    assert Timetable.of(text).rate_at(minute) == rate


@pytest.mark.parametrize("text", ["", "fast", "0", "2M 3M", "25:00,2M", "08:00", "08:00,2M 08:00,3M", "08:00,x"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    """Before anything is sent."""
    with pytest.raises(UsageError):
        Timetable.of(text)


def test_all_who_send_share_one_bucket() -> None:
    """At 1 KiB/s, ten pieces of 1 KiB leave within nine seconds and not sooner; a silence saves up a quarter second."""
    now = 100.0
    pace = Pace(Timetable.of("1k"), clock=lambda: now, minute=lambda: 0)
    waits = [pace.wait_before(1024) for _ in range(10)]
    assert waits == [0.0, *[pytest.approx(count - 0.25) for count in range(1, 10)]]
    now = 1000.0
    assert pace.wait_before(1024) == 0
    assert pace.wait_before(1) == pytest.approx(0.75)


def test_the_timetable_is_looked_at_for_every_piece() -> None:
    """What is under way when the limit ends goes on without it."""
    minute = 8 * 60
    pace = Pace(Timetable.of(_NIGHT), clock=lambda: 0.0, minute=lambda: minute)
    pace.wait_before(10 << 20)
    assert pace.wait_before(1) > 15
    minute = 19 * 60
    assert pace.wait_before(1 << 30) == 0


def test_a_body_leaves_no_faster_and_is_no_stall() -> None:
    """256 KiB at 100 KiB/s take two seconds, though the transport bears no silence of more than a third of one."""

    async def timed() -> float:
        async def take(request: web.Request) -> web.Response:
            return web.Response(text=str(len(await request.read())))

        app = web.Application()
        app.router.add_put("/", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        transport = HttpTransport({}, pace=Pace(Timetable.of("100k")), progress_timeout=0.33)
        try:
            began = time.monotonic()
            answer = await transport.send(Request("PUT", url, {}, bytes(256 << 10)))
            assert answer.body == b"262144"
            return time.monotonic() - began
        finally:
            await transport.close()
            await runner.cleanup()

    assert run_steadily(timed()) > 1.6
