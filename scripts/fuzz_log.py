"""The fuzz target of the log: a program becomes a file, and the file is checked. Arguments are libFuzzer's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["backhaul.wandblog"]):
    from tests.log_invariants import Program, check

# A file without a disk under it; the reader wants a path.
_FILE = os.memfd_create("run-fuzzed.wandb")
_PATH = Path(f"/proc/self/fd/{_FILE}")


def _one(code: bytes) -> None:
    # The first byte chooses between a made log and the bytes as they are.
    data = code[1:] if code[:1] == b"\x00" else Program(code[1:]).run()
    os.ftruncate(_FILE, 0)
    os.pwrite(_FILE, data, 0)
    check(_PATH)


if __name__ == "__main__":
    atheris.Setup(sys.argv, _one)
    atheris.Fuzz()
