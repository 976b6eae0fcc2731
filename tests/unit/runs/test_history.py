"""History records become the lines that a server keeps."""

from __future__ import annotations

import json

import pytest

from backhaul.runs.history import MAX_LINE_BYTES, HistoryRows
from backhaul.wandblog.schema import HistoryRecord


def _row(*items: tuple[str | list[str], str], step: int | None = None) -> bytes:
    record = HistoryRecord()
    for key, value in items:
        record.item.add(nested_key=[key] if isinstance(key, str) else key, value_json=value.encode())
    if step is not None:
        record.step.num = step
    return bytes(record.SerializeToString())


def test_values_are_passed_through_as_they_are_written() -> None:
    """No number is decoded and encoded again, and the order of the items is kept."""
    line = HistoryRows().line(
        _row(("b", "1.10"), ("_step", "0"), ("a", "1E+05"), ("c", "12345678901234567890"), step=0)
    )
    assert line == '{"b":1.10,"_step":0,"a":1E+05,"c":12345678901234567890}'


def test_not_a_number_and_infinities_stay() -> None:
    """W&B's JSON has these three words, bare."""
    assert (
        HistoryRows().line(_row(("x", "NaN"), ("y", "-Infinity"), ("_step", "0")))
        == '{"x":NaN,"y":-Infinity,"_step":0}'
    )


def test_steps_only_rise() -> None:
    """A step lower than expected is raised to the expected one; a row without one gets that too."""
    rows = HistoryRows()
    steps = ["5", "3", None, "10", "10"]
    lines = [rows.line(_row(("x", "1"), *([("_step", step)] if step else []))) for step in steps]
    assert [json.loads(line or "")["_step"] for line in lines] == [5, 6, 7, 10, 11]
    assert (rows.last_step, rows.next_step) == (11, 12)


def test_a_resumed_run_goes_on_at_its_starting_step() -> None:
    """Steps below it are raised."""
    rows = HistoryRows(starting_step=100)
    assert rows.line(_row(("x", "1"), ("_step", "0"))) == '{"x":1,"_step":100}'


@pytest.mark.parametrize("step", ["1.5", '"7"', "true", "null", "-3"])
def test_a_step_that_is_no_natural_number_counts_as_none(step: str) -> None:
    """The next step stands in its place."""
    assert HistoryRows(4).line(_row(("x", "1"), ("_step", step))) == '{"x":1,"_step":4}'


def test_nested_keys_become_objects() -> None:
    """One item per leaf, as the Go engine writes a dict, whatever the order."""
    line = HistoryRows().line(_row((["n", "b", "c"], "2"), ("x", "1"), (["n", "a"], "[1,2]"), ("_step", "0")))
    assert json.loads(line or "") == {"n": {"b": {"c": 2}, "a": [1, 2]}, "x": 1, "_step": 0}


def test_a_row_that_is_nested_deep_is_kept_whole() -> None:
    """400 levels, as paths and as JSON: a script that logs such a row gets it back."""
    nested = '{"k":' * 400 + "1.50" + "}" * 400
    line = HistoryRows().line(_row((["a"] * 400, "1"), ("b", "[" * 400 + "]" * 400), ("c", nested), ("_step", "0")))
    assert f'"c":{nested}' in (line or "")
    assert json.loads(line or "")["_step"] == 0


@pytest.mark.parametrize(
    ("path", "value"),
    [(["a"] * 100_000, "1"), (["a"], "[" * 100_000 + "]" * 100_000), (["a"] * 300, '{"k":' * 300 + "1" + "}" * 300)],
)
def test_a_value_that_is_nested_beyond_all_reason_is_set_aside(path: list[str], value: str) -> None:
    """The rest of its row is sent, and the loss is told; no depth ends the reading."""
    rows = HistoryRows()
    assert rows.line(_row((path, value), ("x", "1"), ("_step", "0"))) == '{"x":1,"_step":0}'
    assert ["nested too deep" in told.reason for told in rows.set_aside] == [True]


def test_brackets_in_texts_are_no_levels() -> None:
    """A long text of them is a value as any other, also with quotes and backslashes in it."""
    text = json.dumps('[{"\\' * 2000)
    rows = HistoryRows()
    assert rows.line(_row(("text", text), ("_step", "0"))) == f'{{"text":{text},"_step":0}}'
    assert not rows.set_aside


def test_a_dot_in_a_key_is_literal() -> None:
    """`loss.total` is one key, not a path."""
    assert HistoryRows().line(_row(("loss.total", "1"), ("_step", "0"))) == '{"loss.total":1,"_step":0}'


def test_keys_and_texts_of_other_scripts_are_kept() -> None:
    """UTF-8 as it is, quotes in keys escaped."""
    line = HistoryRows().line(_row(("температура", "21.5"), ('a"b', '"☃ \\u00e9"'), ("_step", "0")))
    assert line == '{"температура":21.5,"a\\"b":"☃ \\u00e9","_step":0}'


def test_typed_values_stand_in_where_there_is_no_json() -> None:
    """SDK 0.31 can write values in a typed form beside the JSON; planned files have only that."""
    record = HistoryRecord()
    record.item.add(nested_key=["none"], none=0)
    record.item.add(nested_key=["flag"], boolean=True)
    record.item.add(nested_key=["whole"], integer=-7)
    record.item.add(nested_key=["real"], number=2.5)
    record.item.add(nested_key=["nan"], number=float("nan"))
    record.item.add(nested_key=["text"], text='grüß "dich"')
    record.item.add(nested_key=["list"], json="[1,2]")
    line = HistoryRows().line(record.SerializeToString())
    assert line == (
        '{"none":null,"flag":true,"whole":-7,"real":2.5,"nan":NaN,"text":"grüß \\"dich\\"","list":[1,2],"_step":0}'
    )


def test_a_value_that_is_no_json_is_set_aside_and_the_row_is_sent() -> None:
    """One bad value never costs its row."""
    rows = HistoryRows()
    assert rows.line(_row(("good", "1"), ("bad", "{oops"), ("_step", "0"))) == '{"good":1,"_step":0}'
    assert [(aside.what, aside.reason) for aside in rows.set_aside] == [
        ("value of bad", "it is not JSON, or nested too deep; the rest of the row is sent")
    ]


def test_a_row_that_is_too_long_is_set_aside() -> None:
    """The limit is in bytes; a row just below it is sent."""
    rows = HistoryRows()
    room = MAX_LINE_BYTES - len('{"x":"","_step":0}')
    assert rows.line(_row(("x", '"' + "v" * (room + 1) + '"'), ("_step", "0"))) is None
    assert [aside.what for aside in rows.set_aside] == ["history row of step 0"]
    rows = HistoryRows()
    assert rows.line(_row(("x", '"' + "é" * (room // 2 + 1) + '"'), ("_step", "0"))) is None
    line = HistoryRows().line(_row(("x", '"' + "v" * room + '"'), ("_step", "0")))
    assert line is not None
    assert len(line) == MAX_LINE_BYTES


def test_bytes_that_do_not_decode_are_set_aside() -> None:
    """A history record that is none."""
    rows = HistoryRows()
    assert rows.line(b"\xff\xff") is None
    assert [aside.reason for aside in rows.set_aside] == ["its bytes do not decode"]
