"""The watcher put together: real folders, real roads, and what it tells of itself while it runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backhaul.errors import ConfigurationError
from backhaul.runs.mounts import MountTable
from backhaul.sync.connection import destination_of, user_settings
from backhaul.unattended.judgement import Judge
from backhaul.unattended.queue.entry import Item
from backhaul.unattended.queue.interface import Queue
from backhaul.unattended.queue.where import Where
from backhaul.unattended.watch.bell import told_of
from backhaul.unattended.watch.commands import Commands
from backhaul.unattended.watch.courier import Courier
from backhaul.unattended.watch.lease import Lease
from backhaul.unattended.watch.log import Log
from backhaul.unattended.watch.metrics import Metrics
from backhaul.unattended.watch.noticer import Noticer
from backhaul.unattended.watch.options import WatchOptions
from backhaul.unattended.watch.road import RealRoad
from backhaul.unattended.watch.systemd import notify, watchdog_interval
from backhaul.unattended.watch.watcher import Chore, Watcher

Notify = Callable[[str], object]


@dataclass(slots=True)
class Service:
    """Watches as `options` say. `commands` is the folder of wandb-osh's command files, None to take none."""

    queue: Queue
    options: WatchOptions
    log: Log
    metrics: Metrics
    metrics_file: Path | None = None
    commands: Path | None = None
    chores: Sequence[Chore] = ()
    notify: Notify = notify

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event) -> bool:
        """Watch until `stop`; True when nothing was cut off. Raises ConfigurationError, and what the queue raises."""
        watcher = self._watcher()
        watchdog = asyncio.create_task(self._watchdog())
        try:
            self.log.tell("watching", folders=[str(folder) for folder in self.options.folders])
            self.notify("READY=1")
            stopping = asyncio.create_task(self._say_when(stop))
            try:
                return await watcher.run(stop, hurry)
            finally:
                stopping.cancel()
        finally:
            watchdog.cancel()

    def _watcher(self) -> Watcher:
        options = self.options
        looked_at = [*options.folders, *([self.commands] if self.commands else [])]
        told, untold = told_of(looked_at, MountTable.of_this_host() if options.inotify else MountTable(()))
        host, lease = socket.gethostname(), Lease(options.lease)
        commands = Commands(self.commands) if self.commands else None
        noticer = Noticer(self.queue, options.folders, self._judge_for, host, commands, options.poll)
        return Watcher(
            self.queue,
            noticer.notice,
            lambda where: RealRoad(where.or_else(options.target), lease.check),
            Courier(self.queue, options.sync, self.log, self.metrics),
            lease,
            options,
            self.log,
            self._on_beat,
            self.chores,
            told,
            looks_often=bool(untold),
            host=host,
        )

    def _judge_for(self, where: Where) -> Judge:
        destination = destination_of(where.or_else(self.options.target), user_settings())
        options = self.options
        return Judge(destination, options.sync.state_folder, options.sync.dead_after, options.live_after)

    def _on_beat(self, items: Sequence[Item], words: str) -> None:
        self.metrics.show(items)
        self.notify(f"STATUS={words}")
        if self.metrics_file is not None:
            try:
                self.metrics.write(self.metrics_file)
            except OSError as error:
                self.log.tell("metrics", ConfigurationError(f"{self.metrics_file} cannot be written: {error}."))

    async def _watchdog(self) -> None:
        interval = watchdog_interval()
        while interval is not None:
            # From the loop that does the work: if that hangs, nobody says so, and systemd starts us again.
            self.notify("WATCHDOG=1")
            await asyncio.sleep(interval)

    async def _say_when(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.notify("STOPPING=1")
