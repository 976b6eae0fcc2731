"""From what a user asks for, and has set, to a server and a destination on it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from backhaul.runs.here import here
from backhaul.runs.home import home
from backhaul.sync.at_once import connections_at_once
from backhaul.sync.depot_folder import default_data_folder
from backhaul.sync.destination import Destination
from backhaul.sync.local_depot import running_depot
from backhaul.sync.target import OWN_DEPOT, Target
from backhaul.wire.credentials import find_api_key
from backhaul.wire.gated import Gate, Gated, open_to_all
from backhaul.wire.hosts import checked_base_url
from backhaul.wire.late import Late
from backhaul.wire.message import Transport
from backhaul.wire.pace import Pace, Timetable
from backhaul.wire.server import Server
from backhaul.wire.settings import Settings, load_settings
from backhaul.wire.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a destination; every request passes the `gate`."""

    settings: Settings
    destination: Destination
    api_key: str
    timeout: float
    pace: Pace | None
    gate: Gate = open_to_all

    @asynccontextmanager
    async def server(self) -> AsyncIterator[Server]:
        """The server; its connections are closed when the block ends."""
        settings = self.settings
        transport = Traffic(Gated(Late(self._transport), self.gate))
        try:
            yield Server(
                transport,
                self.destination.base_url,
                self.api_key,
                extra_headers=settings.extra_headers,
                username=settings.username,
                email=settings.email,
                graphql_timeout=settings.http_timeout,
            )
        finally:
            await transport.close()

    def _transport(self) -> Transport:
        from backhaul.wire.transport import HttpTransport

        return HttpTransport(
            connections=connections_at_once(),
            progress_timeout=self.timeout,
            http_proxy=self.settings.http_proxy,
            https_proxy=self.settings.https_proxy,
            insecure=self.settings.insecure_disable_ssl or None,
            pace=self.pace,
        )


@contextmanager
def connected(target: Target) -> Iterator[Connection]:
    """The connection to `target`, by the user's settings and credentials.

    The user's own depot runs for as long as the block lasts, if it does not run already. Raises ConfigurationError.
    """
    settings = user_settings()
    pace = Pace(Timetable.of(target.bwlimit)) if target.bwlimit is not None else None
    if target.to == OWN_DEPOT:
        with running_depot() as depot:
            yield Connection(settings, destination_of(target, settings, depot.url), depot.api_key, target.timeout, pace)
        return
    there = destination_of(target, settings)
    api_key = find_api_key(there.base_url, settings, os.environ, home())
    yield Connection(settings, there, api_key, target.timeout, pace)


def user_settings() -> Settings:
    """What the user has set. Raises ConfigurationError."""
    return load_settings(os.environ, here(), home())


def destination_of(target: Target, settings: Settings, depot_url: str | None = None) -> Destination:
    """The destination that `target` names; `depot_url` is where the user's own depot is, if it runs.

    Raises ConfigurationError for what is no server's address.
    """
    is_depot = target.to == OWN_DEPOT
    named = checked_base_url(target.to) if target.to and not is_depot else None
    return Destination(
        base_url=depot_url or named or settings.base_url,
        # The user's own depot is the same destination whatever port it has today.
        name=f"depot {default_data_folder()}" if is_depot else None,
        entity=target.entity,
        project=target.project,
        run_id=target.run_id,
        default_entity=settings.entity,
        default_project=settings.project,
    )
