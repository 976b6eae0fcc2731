"""First contact: where a fragment's lines go, settled from what the server holds and what the log says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from backhaul.errors import RemoteConflict
from backhaul.runs.rows import Stream
from backhaul.sync.first_contact import Settled, settle, still_held
from backhaul.sync.progress import Progress, begin_entry, no_lines
from backhaul.wire.remote import RunStatus


def _lines(history: int = 0, events: int = 0, output: int = 0) -> dict[Stream, int]:
    return {Stream.HISTORY: history, Stream.EVENTS: events, Stream.OUTPUT: output}


def _row(time: int, step: int, **more: Any) -> str:
    return json.dumps({"_step": step, "_timestamp": time, **more})


# A fragment of four rows, recorded at the times 100 to 103, with one event and two console lines.
_OWN = {
    Stream.HISTORY: [_row(100 + number, number) for number in range(4)],
    Stream.EVENTS: [json.dumps({"_timestamp": 101, "system": 1})],
    Stream.OUTPUT: ["one", "two"],
}
# The fragment that was recorded after it.
_LATER = {
    Stream.HISTORY: [_row(200 + number, number) for number in range(3)],
    Stream.EVENTS: [],
    Stream.OUTPUT: ["three"],
}


def _status(
    lines: dict[Stream, int], history_tail: str | None = None, events_tail: str | None = None, summary: str = "{}"
) -> RunStatus:
    return RunStatus(
        history_lines=lines[Stream.HISTORY],
        events_lines=lines[Stream.EVENTS],
        output_lines=lines[Stream.OUTPUT],
        summary=summary,
        config="{}",
        history_tail=[history_tail] if history_tail else [],
        events_tail=[events_tail] if events_tail else [],
        display_name="",
        tags=(),
        notes="",
        started=True,
    )


def _settled(status: RunStatus | None, *, later: bool = False, **how: Any) -> Settled:
    def lines_of(stream: Stream) -> Iterator[str]:
        return iter(_OWN[stream])

    def later_lines_of(stream: Stream) -> Iterator[str]:
        return iter(_LATER[stream] if later else [])

    given = {"structured": False, "resumes": False, "after": None, "force": False} | how
    return settle(status, lines_of=lines_of, later_lines_of=later_lines_of, **given)


_EVENT = _OWN[Stream.EVENTS][0]


@pytest.mark.parametrize(
    ("status", "how", "expected"),
    [
        # Nothing is there: line 0, whoever asks.
        (None, {}, (_lines(), _lines(), 0)),
        (_status(_lines()), {"resumes": True}, (_lines(), _lines(), 0)),
        # Our own beginning is there: it counts as acknowledged.
        (_status(_lines(2), _row(101, 1)), {}, (_lines(), _lines(2), 0)),
        (_status(_lines(4, 1, 2), _row(103, 3), _EVENT), {}, (_lines(), _lines(4, 1), 0)),
        (_status(_lines(2), _row(101, 1)), {"resumes": True}, (_lines(), _lines(2), 0)),
        # A server may write NaN as text, and order keys otherwise.
        (_status(_lines(2), '{"_timestamp":101,"_step":1}'), {}, (_lines(), _lines(2), 0)),
        # Other rows, older than ours: a resumed run goes on after them, and its steps too.
        (
            _status(_lines(5, 2, 7), _row(50, 9), '{"_timestamp":50}'),
            {"resumes": True},
            (_lines(5, 2, 7), _lines(), 10),
        ),
        (_status(_lines(5), _row(50, 4), summary='{"_step":20}'), {"resumes": True}, (_lines(5), _lines(), 21)),
        # Older rows and then ours, three of four of them: we go on with the fourth. The console is told by what was
        # before us, if that is known; else its lines go after what is there.
        (_status(_lines(8, 0, 9), _row(102, 7)), {"resumes": True}, (_lines(5, 0, 9), _lines(3), 5)),
        (
            _status(_lines(8, 0, 9), _row(102, 7)),
            {"after": _lines(5, 0, 7)},
            (_lines(5, 0, 7), _lines(3), 5),
        ),
        # Part of ours, and the newest events are somebody else's: the steps are those of our rows all the same.
        (
            _status(_lines(7, 2, 9), _row(101, 6), '{"_timestamp":50}', summary='{"_step":30}'),
            {"resumes": True},
            (_lines(5, 2, 9), _lines(2), 5),
        ),
        # No row is there, and the summary of an earlier part is: our steps go on after it.
        (
            _status(_lines(0, 2), None, '{"_timestamp":50}', '{"_step":7}'),
            {"resumes": True},
            (_lines(0, 2), _lines(), 8),
        ),
        # A server may have added to our row.
        (_status(_lines(2), _row(101, 1, _added=7)), {}, (_lines(), _lines(2), 0)),
        # All of ours after older rows: so the console lines are the last ones there.
        (_status(_lines(9, 1, 9), _row(103, 8), _EVENT), {"resumes": True}, (_lines(5, 0, 7), _lines(4, 1), 5)),
        # Ours and then two rows of the later fragment that is here too.
        (
            _status(_lines(6, 1, 3), _row(201, 5), _EVENT),
            {"resumes": True, "later": True},
            (_lines(), _lines(4, 1), 0),
        ),
        # The user insists.
        (_status(_lines(9), _row(999, 9)), {"force": True}, (_lines(), _lines(), 0)),
        (_status(_lines(9), _row(999, 9)), {"force": True, "after": _lines(5)}, (_lines(5), _lines(), 10)),
    ],
)
def test_the_numbers_are_settled_by_a_table(
    status: RunStatus | None, how: dict[str, Any], expected: tuple[dict[Stream, int], dict[Stream, int], int]
) -> None:
    """Base, acknowledged lines and first step for each thing that may be at the destination."""
    base, known, steps = expected
    assert _settled(status, **how) == Settled(begin_entry(base, known, steps, False), displaces="force" in how)


@pytest.mark.parametrize(
    ("status", "how", "base", "steps"),
    [
        # The later fragment was sent first, from line 0 on: ours go there, and it has to move.
        (_status(_lines(2, 0, 1), _row(201, 1)), {"resumes": True, "later": True}, _lines(), 0),
        # So it is when another fragment is before ours.
        (
            _status(_lines(7, 0, 9), _row(201, 6), summary='{"_step":4}'),
            {"after": _lines(5, 0, 8), "later": True},
            _lines(5, 0, 8),
            5,
        ),
        # So it is with parts that do not say that they resume.
        (_status(_lines(2, 0, 1), _row(201, 1)), {"later": True}, _lines(), 0),
        # Ours were sent first, and the part before has just taken their first places.
        (_status(_lines(4), _row(103, 3), summary='{"_step":1}'), {"after": _lines(2)}, _lines(2), 2),
    ],
)
def test_a_fragment_that_comes_late_goes_to_its_place(
    status: RunStatus, how: dict[str, Any], base: dict[Stream, int], steps: int
) -> None:
    """Nothing of it counts as acknowledged, and what is in its place has to be sent anew behind it."""
    assert _settled(status, **how) == Settled(begin_entry(base, no_lines(), steps, False), displaces=True)


def test_a_row_whose_step_was_raised_tells_where_the_steps_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the steps 0, 10 and 11 that began at 15 stand at 15, 16 and 17: so does the one after them, at 18."""
    monkeypatch.setitem(_OWN, Stream.HISTORY, [_row(100, 0), _row(101, 10), _row(102, 11), _row(103, 12)])
    status = _status(_lines(8), _row(102, 17))
    assert _settled(status, resumes=True) == Settled(begin_entry(_lines(5), _lines(3), 15, False))


@pytest.mark.parametrize(
    ("status", "how"),
    [
        # Another script's rows, in a run that does not say that it resumes.
        (_status(_lines(2), _row(50, 1)), {}),
        (_status(_lines(2), _row(999, 1)), {}),
        # Our rows, but not at our numbers: an official sync appended them to something else.
        (_status(_lines(7), _row(101, 1)), {}),
        # Rows that are newer than ours: ours cannot belong after them.
        (_status(_lines(2), _row(999, 1)), {"resumes": True}),
        (_status(_lines(0, 3), None, '{"_timestamp":7}'), {}),
    ],
)
def test_other_content_is_a_conflict(status: RunStatus, how: dict[str, Any]) -> None:
    """Nothing is overwritten and nothing is appended where it does not belong."""
    with pytest.raises(RemoteConflict, match="already holds"):
        _settled(status, **how)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (_lines(15, 3, 2), _lines(10, 3, 2)),
        (_lines(15, 9, 9), _lines(10, 3, 2)),
        (_lines(9, 3, 2), _lines(4, 3, 2)),
        (_lines(2), _lines()),
        (None, _lines()),
    ],
)
def test_acknowledged_lines_that_the_server_no_longer_holds_are_forgotten(
    held: dict[Stream, int] | None, expected: dict[Stream, int]
) -> None:
    """A server restored from a backup gets them again; more than we sent is not ours."""
    progress = Progress(begun=True, base=_lines(5), lines=_lines(10, 3, 2))
    assert still_held(progress, None if held is None else _status(held)) == expected


def test_a_progress_with_nothing_has_no_lines() -> None:
    """The empty progress is the one of a run that was never sent."""
    assert still_held(Progress(), None) == no_lines()
