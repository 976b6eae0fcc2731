"""The small terminal that turns what a program writes into lines."""

from __future__ import annotations

import pytest

from backhaul.runs.console import HEIGHT, MAX_LINE_LENGTH, Console
from backhaul.wandblog.schema import Record


def _output(text: str, *, stream: int = 1, seconds: int = 1_700_000_000, nanos: int = 123_456_789) -> Record:
    record = Record()
    record.output_raw.line = text
    record.output_raw.output_type = stream
    record.output_raw.timestamp.seconds = seconds
    record.output_raw.timestamp.nanos = nanos
    return record.output_raw


def _shown(*writes: str | tuple[str, int]) -> list[str]:
    console = Console()
    for write in writes:
        text, stream = write if isinstance(write, tuple) else (write, 1)
        console.write(_output(text, stream=stream))
    console.finish()
    return [f"{line.level}{line.content}" for line in console.final]


@pytest.mark.parametrize(
    ("seconds", "nanos", "shown"),
    [
        (1_700_000_000, 123_456_789, "2023-11-14T22:13:20.123456"),
        (1_700_000_000, 2_000_000_000, "2023-11-14T22:13:22.000000"),
        (1 << 40, 0, "9999-12-31T23:59:59.999999"),
        (253_402_300_799, 2_000_000_000, "9999-12-31T23:59:59.999999"),
    ],
)
def test_a_time_that_no_calendar_has_is_shown_as_the_nearest(seconds: int, nanos: int, shown: str) -> None:
    """A damaged clock costs no line."""
    console = Console()
    console.write(_output("text", seconds=seconds, nanos=nanos))
    console.finish()
    assert console.final[0].plain() == f"{shown} text"
    (line,) = console.take()
    assert line.time.isoformat(timespec="microseconds").removesuffix("+00:00") == shown


def test_lines_are_cut_at_line_feeds_wherever_writes_end() -> None:
    """A line may come in several writes, a write may hold several lines."""
    assert _shown("one\ntw", "o\n", "three\nfour") == ["one", "two", "three", "four"]


def test_a_carriage_return_goes_back_and_overwrites() -> None:
    """Nothing is erased: what is longer stays behind the new text."""
    assert _shown("progress  10%\rprogress  50%\r", "progress 100%\n") == ["progress 100%"]
    assert _shown("long line\rshort\n") == ["shortline"]


def test_a_blank_line_is_a_line() -> None:
    """One that something was written to afterwards, or between two others."""
    assert _shown("a\n\nb\n") == ["a", "", "b"]


def test_the_cursor_moves_up_and_down() -> None:
    """`ESC [ A` and `ESC [ B`: two progress bars one above the other."""
    assert _shown("bar 1\nbar 2\n", "\x1b[A\x1b[A", "BAR\n", "\x1b[B", "x") == ["BAR 1", "bar 2", "x"]
    assert _shown("\x1b[Atop") == ["top"]


def test_an_escape_sequence_may_be_cut_anywhere() -> None:
    """Between two writes, after the escape or after the bracket."""
    assert _shown("one\n", "\x1b", "[", "A", "ONE\n") == ["ONE"]
    assert _shown("one\n", "\x1b[", "Aone!\n") == ["one!"]


def test_other_escape_sequences_are_text() -> None:
    """Colours stay: the server shows them."""
    assert _shown("\x1b[32mgreen\x1b[0m\n") == ["\x1b[32mgreen\x1b[0m"]
    assert _shown("\x1b]0;title\x07\n") == ["\x1b]0;title\x07"]


def test_both_streams_share_the_numbering_and_keep_their_own_cursor() -> None:
    """stderr is marked; a line of one is not written over by the other."""
    assert _shown("out", ("err", 0), " more\n", ("or\n", 0), "end\n") == ["out more", "ERROR error", "end"]


def test_a_line_is_final_when_so_many_newer_ones_exist() -> None:
    """Only then, or at the end: a progress bar may still come back to it."""
    console = Console()
    for index in range(HEIGHT):
        console.write(_output(f"line {index}\n"))
    assert console.final == []
    console.write(_output("one more\n"))
    assert [line.content for line in console.final] == ["line 0"]
    console.finish()
    assert len(console.final) == HEIGHT + 1


def test_text_for_a_line_that_is_final_is_dropped() -> None:
    """The other stream has pushed it out of the window meanwhile."""
    console = Console()
    console.write(_output("first"))
    console.write(_output("".join(f"{index}\n" for index in range(HEIGHT)), stream=0))
    assert [line.content for line in console.final] == ["first"]
    console.write(_output(" late\nnext\n"))
    console.finish()
    assert (console.final[0].content, console.final[-1].content) == ("first", "next")


def test_the_cursor_cannot_leave_the_window() -> None:
    """Up beyond the first of the last 32 lines it stays there."""
    writes = "".join(f"{index:02}\n" for index in range(50)) + "\x1b[A" * 100 + "XX\n"
    shown = _shown(writes)
    assert len(shown) == 50
    assert shown[50 - (HEIGHT - 1)] == "XX"
    assert shown[50 - HEIGHT] == f"{50 - HEIGHT:02}"


def test_a_line_has_a_longest_length() -> None:
    """What does not fit is cut; the cursor goes on."""
    assert _shown("x" * (MAX_LINE_LENGTH + 10) + "y\n") == ["x" * MAX_LINE_LENGTH]
    assert _shown("x" * (MAX_LINE_LENGTH - 1), "abc\n") == ["x" * (MAX_LINE_LENGTH - 1) + "a"]


def test_whole_lines_come_in_as_they_are() -> None:
    """`run.write_logs`: no terminal in between."""
    console = Console()
    console.write_lines("one\rx\ntwo\n\n")
    console.finish()
    assert [line.content for line in console.final] == ["one\rx", "two", ""]


def test_a_line_is_stamped_with_the_time_when_it_was_begun() -> None:
    """In UTC with microseconds, in both forms."""
    console = Console()
    console.write(_output("be", seconds=0, nanos=5_000))
    console.write(_output("gun\n", seconds=99))
    console.write(_output('"oh"', stream=0, seconds=1_700_000_000, nanos=999_999_999))
    console.finish()
    assert [line.plain() for line in console.final] == [
        "1970-01-01T00:00:00.000005 begun",
        'ERROR 2023-11-14T22:13:20.999999 "oh"',
    ]
    assert [line.structured() for line in console.final] == [
        '{"ts": "1970-01-01T00:00:00.000005", "content": "begun"}',
        '{"level": "error", "ts": "2023-11-14T22:13:20.999999", "content": "\\"oh\\""}',
    ]
