"""Where a fragment's console begins at a server, by the last lines there."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from backhaul.sync.console_tail import begin_of
from backhaul.wire.remote import ConsoleLine, ConsoleTail


def _time(second: int, form: str = "2026-01-01T00:00:{:02}.250000") -> str:
    return form.format(second)


# Five lines as they are sent: of the seconds 10 to 14, the fourth on standard error, the last two alike.
_OWN = [
    f"{_time(10)} one",
    f"{_time(11)} two words",
    f"{_time(12)} ",
    f"ERROR {_time(13)} dots",
    f"{_time(14)} dots",
]
_THEIRS = [(_time(10), "one"), (_time(11), "two words"), (_time(12), ""), (_time(13), "dots"), (_time(14), "dots")]
_OTHERS = [(_time(1), "one"), (_time(2), "two words")]


def _tail(lines: Sequence[tuple[str, str]], before: int = 0) -> ConsoleTail:
    """These lines, the last of all there; so many are before them."""
    numbered = (ConsoleLine(number, time, text) for number, (time, text) in enumerate(lines, before))
    return ConsoleTail(before + len(lines), tuple(numbered))


@pytest.mark.parametrize(
    ("tail", "begin"),
    [
        (_tail(_THEIRS), 0),
        (_tail(_THEIRS[:1]), 0),
        (_tail([*_OTHERS, *_THEIRS[:3]]), 2),
        (_tail(_THEIRS[1:4], 8), 7),
        # Other servers write times otherwise.
        (_tail([(_time(11, "2026-01-01T00:00:{}.25Z"), "two words")], 4), 3),
    ],
)
def test_the_last_lines_there_tell_where_ours_begin(tail: ConsoleTail, begin: int) -> None:
    """Each carries the moment at which it was begun."""
    assert begin_of(iter(_OWN), tail, 0) == begin


@pytest.mark.parametrize(
    ("tail", "least"),
    [
        # Nothing, somebody else's lines, one of ours behind somebody else's, one without a time.
        (_tail([]), 0),
        (_tail(_OTHERS), 0),
        (_tail([*_OTHERS, _THEIRS[1]]), 0),
        (_tail([("", "one")]), 0),
        (_tail([("yesterday", "one")]), 0),
        # A count that is shown late, or numbers that begin at one.
        (ConsoleTail(4, _tail(_THEIRS).lines), 0),
        (ConsoleTail(5, _tail(_THEIRS, 1).lines), 0),
        # More of ours than there are lines, or in the place of an earlier part's.
        (ConsoleTail(2, (ConsoleLine(1, *_THEIRS[3]),)), 0),
        (_tail(_THEIRS[:2], 5), 6),
    ],
)
def test_what_does_not_tell_is_not_taken_for_an_answer(tail: ConsoleTail, least: int) -> None:
    """Rather twice than over somebody else's line."""
    assert begin_of(iter(_OWN), tail, least) is None


def test_a_line_that_is_there_again_and_again_within_a_moment_is_told_by_those_before_it() -> None:
    """A progress bar; when all that are shown are alike, nobody can tell."""
    own = [f"{_time(10)} begin", *[f"{_time(10)} ."] * 6]
    theirs = [(_time(10), "begin"), *[(_time(10), ".")] * 4]
    assert begin_of(iter(own), _tail(theirs, 3), 0) == 3
    assert begin_of(iter(own), _tail(theirs[1:], 4), 0) is None
