"""From what a user typed, and has set, to a server and a destination on it."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backhaul.cli.depot_folder import default_data_folder
from backhaul.cli.local_depot import running_depot
from backhaul.sync.destination import Destination
from backhaul.wire.credentials import find_api_key
from backhaul.wire.server import Server
from backhaul.wire.settings import Settings, load_settings
from backhaul.wire.traffic import Traffic
from backhaul.wire.transport import HttpTransport

OWN_DEPOT = "depot"


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a destination."""

    settings: Settings
    destination: Destination
    api_key: str
    timeout: float

    @asynccontextmanager
    async def server(self) -> AsyncIterator[Server]:
        """The server; its connections are closed when the block ends."""
        settings = self.settings
        transport = Traffic(
            HttpTransport(
                progress_timeout=self.timeout,
                http_proxy=settings.http_proxy,
                https_proxy=settings.https_proxy,
                insecure=settings.insecure_disable_ssl or None,
            )
        )
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


@contextmanager
def connection(choices: Mapping[str, Any]) -> Iterator[Connection]:
    """The connection that the options `to`, `entity`, `project`, `run_id` and `timeout` ask for.

    The user's own depot runs for as long as the block lasts, if it does not run already. Raises ConfigurationError.
    """
    settings = user_settings()
    if choices["to"] == OWN_DEPOT:
        with running_depot() as depot:
            yield Connection(settings, destination(choices, settings, depot.url), depot.api_key, choices["timeout"])
        return
    there = destination(choices, settings)
    api_key = find_api_key(there.base_url, settings, os.environ, Path.home())
    yield Connection(settings, there, api_key, choices["timeout"])


def user_settings() -> Settings:
    """What the user has set; what is wrong with a settings file is told."""
    settings = load_settings(os.environ, Path.cwd(), Path.home())
    for warning in settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return settings


def destination(choices: Mapping[str, Any], settings: Settings, depot_url: str | None = None) -> Destination:
    """The destination that the options name; `depot_url` is where the user's own depot is, if it runs."""
    is_depot = choices["to"] == OWN_DEPOT
    return Destination(
        base_url=depot_url or choices["to"] or settings.base_url,
        # The user's own depot is the same destination whatever port it has today.
        name=f"depot {default_data_folder()}" if is_depot else None,
        entity=choices["entity"],
        project=choices["project"],
        run_id=choices["run_id"],
        default_entity=settings.entity,
        default_project=settings.project,
    )
