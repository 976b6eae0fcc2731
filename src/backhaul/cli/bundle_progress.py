"""How far packing or unpacking has come, on a terminal; elsewhere nothing is shown until it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from backhaul.bundle.progress import OnProgress
from backhaul.cli.render import STDERR


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[OnProgress]:
    """What `pack` and `unpack` tell of the bytes that went through; `total` is in bytes, None when it is not known."""
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=STDERR, transient=True, disable=not STDERR.is_terminal) as view:
        # Nothing is shown of what has nothing to do.
        task = view.add_task(what, total=total, visible=total is not None)
        yield lambda _, size: view.update(task, advance=size, visible=True)
