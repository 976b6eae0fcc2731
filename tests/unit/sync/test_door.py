"""The Python door: a thread of its own, in which the work begins and ends in good order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from backhaul.sync.door import _in_own_thread


def test_a_loop_that_cannot_be_made_is_told_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs descriptors, and a process may have none left."""

    def refuse(work: Coroutine[Any, Any, None]) -> None:
        work.close()
        raise OSError(24, "Too many open files")

    async def nothing() -> None:
        raise AssertionError("there is no loop to run in")

    monkeypatch.setattr(asyncio, "run", refuse)
    work = nothing()
    with pytest.raises(OSError, match="Too many open files"):
        _in_own_thread(work)
    work.close()
