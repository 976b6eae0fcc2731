"""What Prometheus can read of the watcher: over HTTP, or from a text file that node_exporter collects."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server, write_to_textfile

from backhaul.errors import ConfigurationError
from backhaul.unattended.queue.entry import OPEN, Item, QueueState


class Metrics:
    """The figures of one watcher."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.runs = Gauge("backhaul_runs", "Runs in the queue, by state.", ["state"], registry=self.registry)
        self.oldest = Gauge(
            "backhaul_oldest_seconds", "How long the oldest run that is not home has been waiting.",
            registry=self.registry,
        )  # fmt: skip
        self.line = Gauge("backhaul_line_up", "1 if the way to the server is open.", ["to"], registry=self.registry)
        self.tries = Counter("backhaul_tries", "Runs tried, by what came of it.", ["result"], registry=self.registry)
        self.lines = Counter("backhaul_lines", "Lines that servers acknowledged.", registry=self.registry)
        self.bytes = Counter("backhaul_bytes", "Bytes of lines and files acknowledged.", registry=self.registry)
        self.look = Gauge(
            "backhaul_look_seconds", "How long the last look at the folders took.", registry=self.registry
        )
        self.beaten = Gauge("backhaul_seen_timestamp_seconds", "When the watcher last said that it lives.",
                            registry=self.registry)  # fmt: skip

    def show(self, items: Sequence[Item], now: float | None = None) -> None:
        """Take the figures of the queue, of now (Unix seconds)."""
        now = time.time() if now is None else now
        for state in QueueState:
            self.runs.labels(str(state)).set(sum(item.state is state for item in items))
        waiting = [now - item.queued_at for item in items if item.state in OPEN]
        self.oldest.set(max(waiting, default=0.0))
        self.beaten.set(now)

    def serve(self, address: str, port: int) -> int:
        """Answer on `address`:`port` (0: any that is free) in a thread; the port. Raises ConfigurationError."""
        try:
            server, _ = start_http_server(port, address, self.registry)
        except OSError as error:
            raise ConfigurationError(
                f"Metrics cannot be had on {address}:{port}: {error.strerror or error}."
            ) from error
        return int(server.server_port)

    def write(self, path: Path) -> None:
        """Write the text file, whole or not at all. Raises OSError."""
        write_to_textfile(str(path), self.registry)
