"""The road to one destination: its connection, kept while it works, and the door through which runs go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol

from backhaul.errors import BackhaulError, ConfigurationError, TemporaryError, TimedOut
from backhaul.runs.directory import RunDirectory
from backhaul.sync.connection import Connection, connected, user_settings
from backhaul.sync.door import deliver
from backhaul.sync.event import OnEvent
from backhaul.sync.options import SyncOptions
from backhaul.sync.report import Report
from backhaul.sync.target import Target
from backhaul.unattended.watch.line import Line
from backhaul.wire.gated import Gate, open_to_all

_PROBED_WITHIN = 30.0

WhyStopped = Callable[[], BackhaulError]


class Road(Protocol):
    """The way to one destination."""

    line: Line

    @property
    def name(self) -> str:
        """What a person calls the server."""

    async def probe(self) -> None:
        """Ask the server something small. Raises why no run can get through."""

    async def carry(
        self, directories: Sequence[RunDirectory], options: SyncOptions, on_event: OnEvent, why_stopped: WhyStopped
    ) -> Report:
        """Bring runs there, as `backhaul sync` does. Raises why none of them could be tried."""

    async def close(self) -> None:
        """Let go of the connection; the next use makes it anew, by the settings and credentials of that time."""


@dataclass(slots=True)
class RealRoad:
    """The road to `target`; nothing goes there but through the `gate`."""

    target: Target
    gate: Gate = open_to_all
    line: Line = field(default_factory=Line)
    _there: Connection | None = None
    _open: ExitStack = field(default_factory=ExitStack)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        """As in `Road`."""
        return self.target.to or user_settings().base_url

    async def probe(self) -> None:
        """As in `Road`: whose key is it? That takes name, connection, TLS, proxy and credentials along."""
        there = await self._connection()
        try:
            async with asyncio.timeout(_PROBED_WITHIN), there.server() as server:
                await server.viewer()
        except TimeoutError:
            raise TimedOut(f"{there.destination.base_url} did not answer within {_PROBED_WITHIN:g} s.") from None
        except (TemporaryError, ConfigurationError):
            raise
        except BackhaulError:
            # It answered: what it says to a run is another matter.
            return

    async def carry(
        self, directories: Sequence[RunDirectory], options: SyncOptions, on_event: OnEvent, why_stopped: WhyStopped
    ) -> Report:
        """As in `Road`."""
        return await deliver(directories, await self._connection(), options, on_event, why_stopped)

    async def close(self) -> None:
        """As in `Road`."""
        async with self._opening:
            self._there = None
            await asyncio.to_thread(self._open.close)

    async def _connection(self) -> Connection:
        async with self._opening:
            if self._there is None:
                there = await asyncio.to_thread(self._open.enter_context, connected(self.target))
                self._there = replace(there, gate=self.gate)
            return self._there
