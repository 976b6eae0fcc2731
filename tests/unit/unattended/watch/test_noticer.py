"""What a look at the folders costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backhaul.unattended.queue.entry import Item
from backhaul.unattended.queue.sql_queue import SqlQueue
from backhaul.unattended.queue.sqlite import SqliteDatabase
from backhaul.unattended.watch.noticer import Noticer

from ..conftest import Time


class _FarAway(SqlQueue):
    """A queue that answers after a minute."""

    def __init__(self, folder: Path, time: Time) -> None:
        super().__init__(SqliteDatabase(folder / "queue.db", time))
        self._time = time

    def items(self, states: Any = None) -> Sequence[Item]:
        self._time.passes(60)
        return super().items(states)


def test_waiting_for_the_queue_is_not_looking(folder: Path, time: Time) -> None:
    """The longer a look takes the seldomer it is: not because a line was dead, for then nobody would look for hours."""

    def scan(_: object) -> tuple[dict[Path, Any], list[Any]]:
        time.passes(0.5)
        return {}, []

    with _FarAway(folder, time) as queue:
        noticed = Noticer(queue, [folder], lambda _: None, "", scan=scan, clock=time).notice()  # type: ignore[arg-type,return-value]
    assert noticed.seconds == 0.5
