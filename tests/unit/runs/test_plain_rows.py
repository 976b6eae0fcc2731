"""The fast way through many history records gives what decoding each gives, whatever the records are."""

from __future__ import annotations

import itertools
import json
import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backhaul.runs import history, plain_rows
from backhaul.runs.history import HistoryRows
from backhaul.runs.plain_rows import plain_lines
from backhaul.wandblog.schema import HistoryRecord
from tests.odd_items import FLAT_ITEMS, ITEMS, Item, fill

Row = tuple[list[Item], bool, int | None]

_STEP_ITEMS = st.tuples(st.just(["_step"]), st.integers(-1, 20).map(str))
_ROWS = st.tuples(
    st.lists(st.one_of(FLAT_ITEMS, FLAT_ITEMS, _STEP_ITEMS, ITEMS), max_size=8),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 1 << 40)),
)


def _record(items: list[Item], by_key: bool = False, step: int | None = None) -> bytes:
    record = HistoryRecord()
    for path, value in items:
        fill(record.item.add(), path, value, by_key=by_key)
    if step is not None:
        record.step.num = step
    return bytes(record.SerializeToString())


def _lines(rows: HistoryRows, records: list[bytes], *, together: bool) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_MANY_BYTES", 0 if together else 1 << 40)
        return list(rows.lines(records))


def _loads(line: str) -> Any:
    # A number may be too long for Python's own parser; as text it is the same. Members are told with their order.
    return json.loads(line, parse_int=str, parse_float=str, parse_constant=str)


def _row(*values: str) -> Row:
    return [(["_step"], "2"), *(([f"key{place}"], value) for place, value in enumerate(values))], False, None


@settings(max_examples=300, deadline=None)
@example([([(["a"], "1"), (["a"], "2")], True, 3)])
@example([([(["_step"], "3"), (["a"], '"_step"')], False, 3)])
@example([([(["_step"], "3"), (["a"], '1,"b":2'), (["b"], "3")], False, None)])
@example([([(["_step"], "3"), (["a"], '1,"a":2')], False, None)])
@example([([(["_step"], "3"), (['a":1,"a'], "2")], False, None)])
@example([([(["_step"], "3"), (["a"], "[1"), (["b"], "2]")], False, None)])
@example([([(["_step"], "10")], False, 10), ([(["_step"], "130")], False, 130), ([(["_step"], "140")], False, 16_642)])
@example([_row(value) for value in ("1\n", "\t1", '"a\x01"', "{}", " {}", '"\\ud800"', "1e999", "9" * 30)])
@given(st.lists(_ROWS, max_size=6))
def test_rows_are_the_same_together_and_one_by_one(rows: list[Row]) -> None:
    """Odd keys and values, between other rows: each line has the same members, and the same is set aside."""
    records = [_record(*row) for row in rows]
    fast, general = HistoryRows(2), HistoryRows(2)
    found = _lines(fast, records, together=True)
    expected = _lines(general, records, together=False)
    assert list(map(_loads, found)) == list(map(_loads, expected))
    assert (fast.last_step, fast.next_step, fast.set_aside) == (general.last_step, general.next_step, general.set_aside)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=40), _ROWS.map(lambda row: _record(*row))), max_size=6),
    st.data(),
)
def test_bytes_that_are_no_rows_are_never_taken_for_one(records: list[bytes], data: st.DataObject) -> None:
    """Any bytes, and rows with a byte changed: what is taken together is what the decoder takes.

    But for a step that does not decode: rows tell it in `_step`, and are taken.
    """
    hurt = [_hurt(record, data) for record in records]
    for record, plain in zip(hurt, plain_lines(hurt), strict=True):
        if plain is not None:
            general = HistoryRows()
            line = general.line(_without_step(record))
            assert line is not None
            assert not general.set_aside
            assert _loads(plain[0]) | {"_step": ""} == _loads(line) | {"_step": ""}


def _hurt(record: bytes, data: st.DataObject) -> bytes:
    if not record:
        return record
    place = data.draw(st.integers(0, len(record) - 1))
    return record[:place] + bytes([data.draw(st.integers(0, 255))]) + record[place + 1 :]


def _without_step(record: bytes) -> bytes:
    """The record to the end of its last item."""
    position = 0
    while position < len(record) and record[position] == 0x0A:
        position += 2 + record[position + 1]
    return record[:position]


@pytest.mark.parametrize("step", [None, 0, 5, 300])
def test_an_item_that_is_not_plain_is_never_passed_over(step: int | None) -> None:
    """Bytes of a plain item that look like the row's step, as far behind as the other item is long: nothing is lost."""
    for size, last in itertools.product(range(20, 60), range(10, 80, 3)):
        # A value of 18 characters: its length byte is the tag of the step, and its first character a length.
        items: list[Item] = [(["list"], f"[{'1' * size}]"), (["a"], f"-0.{'1' * 15}"), (["b"], "1" * last)]
        (line,) = _lines(HistoryRows(), [_record(items, False, step)], together=True)
        assert set(json.loads(line)) == {"list", "a", "b", "_step"}


def test_usual_rows_go_the_fast_way() -> None:
    """What most of a log consists of is plain: otherwise the tests above would compare one way with itself."""
    items: list[Item] = [
        (["metric/1"], "1.5e-05"),
        (["_step"], "7"),
        (["name"], '"a \\"b"'),
        (["flag"], "true"),
        (["é"], "NaN"),
        (["list"], '[1,"x"]'),
    ]
    line = '{"metric/1":1.5e-05,"_step":7,"name":"a \\"b","flag":true,"é":NaN,"list":[1,"x"]}'
    records = [_record(items, by_key, step) for by_key in (True, False) for step in (None, 0, 7, 130)]
    assert list(plain_lines(records)) == [(line, 7)] * len(records)


@pytest.mark.parametrize(
    "items",
    [
        [(["a", "b"], "1")],
        [(["a"], '{"b":1}')],
        [(['a"'], "1")],
        [(["a\n"], "1")],
        [(["a"], "1"), (["a"], "2")],
        [(["a"], "01")],
        [(["a"], "")],
        [(["a"], "1\n")],
        [(["x" * 128], "1")],
        [(["_step"], "1.5")],
    ],
)
def test_what_is_not_plain_is_left_to_the_decoder(items: list[Item]) -> None:
    """Nested keys, objects, keys that JSON escapes, a key twice, no JSON, long keys, no step: the rows around are."""
    usual = _record([(["_step"], "1"), (["x"], "2")])
    odd = _record([*items, (["_step"], "1")] if items[0][0] != ["_step"] else items, step=3)
    plain = ('{"_step":1,"x":2}', 1)
    assert list(plain_lines([usual, odd, usual, _record([]), usual])) == [plain, None, plain, None, plain]


@pytest.mark.parametrize(
    "record",
    [
        _record([(["_step"], "1"), (["x"], "23")])[:-1],
        _record([(["_step"], "1"), (["x"], "23")]) + b"\x12\x05\x08\x01",
        _record([(["_step"], "1")]) + b"\n\x87\x12\x3c" + b"k" * 60 + b"\x82\x01\x46" + b"1" * 70,
    ],
    ids=["a value cut short", "a step cut short", "a length of two bytes, read as one"],
)
def test_a_row_whose_lengths_do_not_hold_is_left_to_the_decoder(record: bytes) -> None:
    """No such record has the bytes of a row: the decoder refuses it, and sets it aside."""
    assert HistoryRows().line(record) is None
    usual = _record([(["_step"], "1"), (["x"], "2")])
    assert list(plain_lines([record, usual])) == [None, ('{"_step":1,"x":2}', 1)]


def test_a_value_that_says_to_be_longer_than_its_row_hides_nothing_of_the_next_row() -> None:
    """The next row's key has quotes, and would otherwise pass for a value's."""
    cut = _record([(["_step"], "1"), (["x"], '"' + "v" * 100 + '"')])[:-50]
    assert list(plain_lines([cut, _record([(['a":1,"a'], "2"), (["_step"], "1")])])) == [None, None]


def test_a_row_whose_step_is_too_low_is_raised_in_both_ways() -> None:
    """As the official client does: the step of the row is the next one."""
    records = [_record([(["x"], "1"), (["_step"], step)]) for step in ("0", "5", "3", "9")]
    assert [json.loads(line)["_step"] for line in _lines(HistoryRows(4), records, together=True)] == [4, 5, 6, 9]


def _steps_through(record: bytes) -> int:
    """How many lines of the module are executed for it."""
    steps = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal steps
        steps += event == "line"
        return trace if frame.f_code.co_filename == plain_rows.__file__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        list(plain_lines([record]))
    finally:
        sys.settrace(before)
    return steps


def test_a_long_value_costs_no_more_steps_than_a_short_one() -> None:
    """What lies behind the last item is taken out byte by byte only as far as a step can reach."""
    short, long = (_record([(["_step"], "1"), (["text"], f'"{"x" * size}"')]) for size in (10, 50_000))
    assert 0 < _steps_through(short) < _steps_through(long) < 2_000
