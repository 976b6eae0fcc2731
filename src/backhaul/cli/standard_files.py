"""Standard input, output and error, as every command can rely on them."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

_ALL = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def make_ready() -> None:
    """Have all three there, and standard output take any text.

    One that was closed before us says and takes nothing, and no file of ours gets its number. What standard output
    has no letter for, such as a path of bytes that are no UTF-8, stands there as standard error has it: escaped.
    """
    for name, mode in _ALL:
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - for as long as the process lives
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
