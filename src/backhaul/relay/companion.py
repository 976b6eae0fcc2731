"""A process that runs beside another one, and is started again when it dies."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_LOG = logging.getLogger("backhaul.relay")
_PAUSE = 30.0  # seconds before it is started again
_SECONDS_TO_STOP = 20


@contextmanager
def companion(command: Sequence[str]) -> Iterator[None]:
    """`command` runs for as long as the block lasts; when it dies before, it is started again after a moment.

    At the end of the block it gets SIGTERM, and SIGKILL when it does not heed that.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_keep_running, args=(list(command), stop), name="companion")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _keep_running(command: list[str], stop: threading.Event) -> None:
    while not stop.is_set():
        end = _run(command, stop)
        if not stop.is_set():
            _LOG.warning("ended", extra={"facts": {**end, "again_in": _PAUSE}})
            stop.wait(_PAUSE)


def _run(command: list[str], stop: threading.Event) -> dict[str, object]:
    """Run it until it ends or is to end; how it ended, or why it could not begin."""
    try:
        # Its standard input ends when we die, however we die: so it knows.
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            while process.poll() is None and not stop.wait(0.2):
                pass
            if process.poll() is None:
                _end(process)
    except OSError as error:
        # No memory, or too many processes, for the moment.
        return {"reason": error.strerror or str(error)}
    return {"exit_code": process.returncode}


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
