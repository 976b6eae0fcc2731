"""What becomes of a command whose output nobody reads any more."""

from __future__ import annotations

import signal


def end_with_the_reader() -> None:
    """From now on end quietly, as `cat` does, when whoever reads our output has gone (`… | head`).

    For commands that only read: there is nothing to put in order.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
