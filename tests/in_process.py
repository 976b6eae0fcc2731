"""A sync in the test's own process, with waits a hundred times as short: for faults that would take minutes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from backhaul.runs.find import find_runs
from backhaul.sync.destination import Destination
from backhaul.sync.engine import Engine
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome
from backhaul.sync.reporter import Reporter
from backhaul.sync.retry import Patience
from backhaul.wire.server import Server
from backhaul.wire.transport import HttpTransport


def synced(url: str, api_key: str, run: Path, project: str, state: Path, progress_timeout: float = 1.0) -> Outcome:
    """The outcome of one run; real sockets, no command line. `progress_timeout` is the longest silence, in seconds."""

    async def work() -> Outcome:
        transport = HttpTransport({}, progress_timeout=progress_timeout)
        try:
            options = SyncOptions(state, patience=Patience(unreachable=20, in_trouble=20, base=0.01, longest_wait=0.05))
            server = Server(transport, url, api_key, graphql_timeout=5.0)
            engine = Engine(server, Destination(url, entity="tester", project=project), options, Reporter())
            (outcome,) = await engine.sync(find_runs([run], env={}, cwd=run))
            return outcome
        finally:
            await transport.close()

    return asyncio.run(work())
