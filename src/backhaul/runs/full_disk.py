"""Whether the disk was full while a run was recorded: its log then ends early, and the job went on."""

from __future__ import annotations

import re
from pathlib import Path

from backhaul.wandblog import Tear

_NO_ROOM = re.compile(rb"no space left on device|disk quota exceeded", re.IGNORECASE)
# The first failure comes soon after the last record; the SDK then repeats it for each.
_READ_FROM_END = 1 << 20
_TOLD = (
    "The disk was full while the run was recorded, as its logs/debug-internal.log says: what was logged from then on "
    "is not in the log, and nothing tells how much that was."
)


def tear_note(tear: Tear, log: Path) -> str:
    """What the end of a log without an exit record means to a user.

    The bound of a tear is that of a kill; a writer that found no room has lost all that came later.
    """
    return _TOLD if _found_no_room(log.parent / "logs" / "debug-internal.log") else tear.sentence


def _found_no_room(sdk_log: Path) -> bool:
    try:
        with sdk_log.open("rb") as file:
            file.seek(max(0, sdk_log.stat().st_size - _READ_FROM_END))
            return _NO_ROOM.search(file.read()) is not None
    except OSError:
        return False
