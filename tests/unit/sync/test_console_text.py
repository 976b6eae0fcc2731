"""The plain text of a console: in memory while it is short, then on the disk."""

from __future__ import annotations

from pathlib import Path

from backhaul.runs.payloads import content_of
from backhaul.sync.console_text import ConsoleText


def test_no_text_is_no_file() -> None:
    """A run that printed nothing has no `output.log`."""
    with ConsoleText() as text:
        assert text.payload("output.log") is None


def test_a_short_text_is_in_memory() -> None:
    """Nothing is written to a disk for it."""
    with ConsoleText() as text:
        text.write(b"one\n")
        text.write(b"two\n")
        payload = text.payload("output.log")
        assert payload is not None
        assert (payload.name, payload.path, content_of(payload)) == ("output.log", None, b"one\ntwo\n")


def test_a_long_text_is_a_file_that_ends_with_the_block() -> None:
    """Memory does not grow with it, and all of it is there at any time."""
    line = b"x" * 999 + b"\n"
    with ConsoleText() as text:
        for _ in range(1000):
            text.write(line)
        payload = text.payload("output.log")
        assert payload is not None
        assert isinstance(payload.path, Path)
        assert content_of(payload) == line * 1000
        text.write(b"more\n")
        text.payload("output.log")
        assert content_of(payload).endswith(b"more\n")
    assert not payload.path.exists()
