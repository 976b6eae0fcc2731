"""A process that serves another one ends with it."""

from __future__ import annotations

import os
import signal
import threading

_STANDARD_INPUT = 0


def end_with_parent() -> None:
    """From now on, end by SIGTERM when standard input is closed: whoever held its other end is gone, even if killed."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    # Not by `sys.stdin`, which this thread would hold: a Python that ends for another reason aborts over that.
    while os.read(_STANDARD_INPUT, 1 << 16):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
