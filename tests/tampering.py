"""System calls of a running process, changed by the kernel (strace)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def injected(pid: int, calls: tuple[str, ...], fault: str) -> Iterator[None]:
    """While it lasts, these calls of the process and its threads meet with `fault` (see `strace -e inject`).

    The process must let itself be traced, as the depots of the tests do.
    """
    strace = shutil.which("strace")
    assert strace, "scripts/system-packages installs it"
    names = ",".join(calls)
    what = ["-e", f"trace={names}", "-e", f"inject={names}:{fault}", "-p", str(pid)]
    tracer = subprocess.Popen([strace, "-f", "-o", "/dev/null", *what], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    while "attached" not in (said := tracer.stderr.readline()):
        assert said, "strace could not attach"
    try:
        yield
    finally:
        tracer.kill()  # asked to end, it would wait for the calls that it delays
        tracer.communicate(timeout=60)
