"""A process that serves another one: it ends with it, and in good order when it ends earlier."""

from __future__ import annotations

import signal
import subprocess
import sys

_SERVES = """
import sys, threading
from pathlib import Path
from backhaul.cli.parent import end_with_parent
end_with_parent()
(waiting,) = set(threading.enumerate()) - {threading.main_thread()}
stat = Path(f"/proc/self/task/{waiting.native_id}/stat")
while stat.read_text().rpartition(")")[2].split()[0] != "S":
    pass
print("serves", flush=True)
if sys.argv[1] == "on":
    threading.Event().wait()
"""


def _started(how_long: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _SERVES, how_long]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_it_ends_when_its_standard_input_is_closed() -> None:
    """Whoever held the other end is gone, even if it was killed."""
    with _started("on") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"serves\n"
        process.stdin.close()
        assert process.wait() == -signal.SIGTERM


def test_it_may_end_while_its_standard_input_is_open() -> None:
    """A thread that waits for the other end's death is no reason for Python to abort."""
    with _started("briefly") as process:
        assert process.stderr is not None
        assert (process.wait(), process.stderr.read()) == (0, b"")
