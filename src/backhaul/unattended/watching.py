"""What the lookout looks at: what a job needs to know at its start, its logs, the disk, and the cloud's notices."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backhaul.sync.target import Target
from backhaul.unattended.disk_guard import Thresholds
from backhaul.unattended.lookout import Orders, Tell
from backhaul.unattended.notices import ADDRESSES, CLOUDS, Aws, Azure, Gcp, HttpAsk, Notice, cloud_of_this_machine

if TYPE_CHECKING:
    from backhaul.unattended.guarded_folders import GuardedFolders

_LOOK_EVERY = 0.5
# Looking takes at most this share of a core: a job may have thousands of files open.
_SHARE = 0.02
_AFTER_SILENCE = 30.0


@dataclass(frozen=True, slots=True)
class Watching:
    """What to look at. `cloud` is `auto`, `off` or one of `CLOUDS`; `metadata_url` is where its notices come from."""

    roots: tuple[Path, ...]
    target: Target
    env: Mapping[str, str]
    sync: bool
    thresholds: Thresholds
    disk_every: float = 10.0
    cloud: str = "auto"
    metadata_url: str | None = None

    def look(self, tell: Tell, descriptor: int) -> None:
        """Tell what should be known, until the wrapper is gone."""
        # Here, and not above: the wrapper must not depend on them, nor wait for them.
        from backhaul.unattended.before_start import warnings
        from backhaul.unattended.guarded_folders import GuardedFolders

        disk = GuardedFolders(self.roots, self.thresholds)
        _tell_disk(disk, tell)
        for text in warnings(self.roots, self.target, self.env, sync=self.sync):
            tell({"event": "warning", "text": text})
        tell({"event": "checked"})
        threading.Thread(target=self._notices, args=(tell,), daemon=True).start()
        self._keep_looking(tell, Orders(descriptor), disk)

    def _keep_looking(self, tell: Tell, orders: Orders, disk: GuardedFolders) -> None:
        from backhaul.unattended.job import descendants
        from backhaul.unattended.made_runs import logs_written_by

        seen: set[Path] = set()
        pause, measured_at = _LOOK_EVERY, time.monotonic()
        while orders.wait(pause):
            began = time.monotonic()
            logs = set(logs_written_by(descendants(orders.job))) - seen if orders.job else set()
            for log in sorted(logs):
                tell({"event": "log", "path": os.fspath(log)})
            seen |= logs
            if began - measured_at >= self.disk_every:
                measured_at = began
                _tell_disk(disk, tell)
            pause = max(_LOOK_EVERY, (time.monotonic() - began) / _SHARE)

    def _notices(self, tell: Tell) -> None:
        name = cloud_of_this_machine() if self.cloud == "auto" else self.cloud
        if name is not None and name in CLOUDS:
            cloud = CLOUDS[name](HttpAsk(self.metadata_url or ADDRESSES[name]))
            tell({"event": "notice", "text": str(wait_for_notice(cloud))})


def wait_for_notice(cloud: Aws | Gcp | Azure) -> Notice:
    """Ask until there is a notice; a service that does not answer is asked again after a while."""
    while True:
        try:
            notice = cloud()
        except OSError:
            time.sleep(_AFTER_SILENCE)
            continue
        if notice is not None:
            return notice
        time.sleep(cloud.every)


def _tell_disk(disk: GuardedFolders, tell: Tell) -> None:
    for filling in disk.look():
        actions = [str(action) for action in filling.actions]
        tell({"event": "disk", "text": str(filling), "folder": os.fspath(filling.folder), "actions": actions})
