"""The damaged file, made readable: a log, a log whose file header is damaged, or nothing but zeros."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from backhaul.errors import UnreadableFile
from backhaul.wandblog.framing import BLOCK_SIZE, FILE_HEADER, is_true_chunk
from backhaul.wandblog.identify import is_log_header


class Kind(StrEnum):
    """What stands at the file's start."""

    LOG = "log"
    BAD_HEADER = "log with a damaged file header"
    ZEROS = "nothing but zeros"


def kind_of(path: Path) -> Kind:
    """What the file is. `LOG` also for what is empty or no log at all: reading it tells. Raises UnreadableFile."""
    try:
        with path.open("rb") as file:
            head = file.read(BLOCK_SIZE)
            if head and not head.strip(b"\x00"):
                return Kind.ZEROS if _is_zero_to_the_end(file) else Kind.BAD_HEADER
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}") from error
    if not is_log_header(head) and is_true_chunk(head, len(FILE_HEADER), len(head)):
        return Kind.BAD_HEADER
    return Kind.LOG


def _is_zero_to_the_end(file: BinaryIO) -> bool:
    while block := file.read(1 << 20):
        if block.strip(b"\x00"):
            return False
    return True


@contextmanager
def readable(path: Path, kind: Kind) -> Iterator[Path]:
    """A log to read in place of `path`: itself, or, when the file header is damaged, a copy with a good one."""
    if kind is not Kind.BAD_HEADER:
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="backhaul-repair-", suffix=".wandb") as copy:
        with path.open("rb") as damaged:
            shutil.copyfileobj(damaged, copy)
        copy.seek(0)
        copy.write(FILE_HEADER)
        copy.flush()
        yield Path(copy.name)
