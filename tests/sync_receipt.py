"""Checks a receipt in this process, as `backhaul verify --receipt` does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from backhaul.sync.connection import connected
from backhaul.sync.receipt_check import check_receipt, read_receipt
from backhaul.sync.retry import Patience, Retrier
from backhaul.sync.target import Target


def check_receipt_of(path: str | None) -> None:
    """Raises what is wrong with the receipt or with what it says."""
    receipt = read_receipt(Path(path or ""))

    async def ask() -> None:
        with connected(Target(receipt.url)) as there:
            async with there.server() as server:
                await check_receipt(receipt, server, Retrier(Patience(), None))

    asyncio.run(ask())
