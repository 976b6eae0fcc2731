"""Room on the disk that a file has before it needs it, so that others may fill the rest.

Linux gives a file blocks behind its end (`fallocate` with FALLOC_FL_KEEP_SIZE): its length and content stay as they
are, and what is appended later goes into them. The next truncation gives back what is left of them.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

_KEEP_SIZE = 1


def _system_call() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    # glibc's name for the call with 64-bit offsets; elsewhere they are always so long.
    call = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if call is not None:
        call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return call


_FALLOCATE = _system_call()


def reserve(descriptor: int, length: int) -> int:
    """Give the file `length` bytes of room behind its end, and return how far from its beginning there is room now.

    When the disk is full, or the file system has no such thing (NFS before 4.2), that is no further than its end.
    """
    end = os.fstat(descriptor).st_size
    if _FALLOCATE is None or _FALLOCATE(descriptor, _KEEP_SIZE, end, length) != 0:
        return end
    return end + length


def give_back(descriptor: int) -> None:
    """Return to the disk what the file has behind its end. Raises OSError."""
    os.ftruncate(descriptor, os.fstat(descriptor).st_size)
