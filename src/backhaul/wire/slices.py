"""Reading a slice of a file that is to be sent."""

from __future__ import annotations

from typing import BinaryIO

from backhaul.errors import PayloadMissing, UnreadableFile
from backhaul.wire.message import FileSlice


def open_slice(body: FileSlice) -> BinaryIO:
    """Open the file at the start of the slice.

    Raises PayloadMissing when it is not there, UnreadableFile when it cannot be opened.
    """
    try:
        file = body.path.open("rb")
    except FileNotFoundError:
        raise PayloadMissing(f"{body.path} is gone; it was to be uploaded") from None
    except OSError as error:
        raise UnreadableFile(f"{body.path} cannot be opened: {error.strerror}") from error
    file.seek(body.offset)
    return file
