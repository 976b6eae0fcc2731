"""Reading streams: samples, pages by step, keys, charts."""

from __future__ import annotations

import json

import pytest

from backhaul.depot import rows
from backhaul.depot.history import HistoryReader
from backhaul.depot.model import HISTORY, Delivery, Run, RunEdit
from backhaul.depot.pages.series import ChartNumbers
from backhaul.depot.series import SeriesReader, View
from backhaul.depot.store.lines import pack
from backhaul.depot.store.sql_store import SqlStore


def _logged(store: SqlStore, lines: list[str], offset: int = 0) -> Run:
    run, _ = store.open_run("me", "p", "r", RunEdit())
    store.deliver(run.id, Delivery(batches={HISTORY: pack(offset, lines)})).result()
    return run


def test_a_step_is_found_wherever_it_stands() -> None:
    """The top level counts: a `_step` inside a nested object or a text is another one."""
    assert rows.step_of('{"_step":7,"a":1}', 0) == 7
    assert rows.step_of('{"a":{"_step":3},"_step":8}', 0) == 8
    assert rows.step_of('{"a":{"_step":3}}', 5) == 5
    assert rows.step_of(json.dumps({"text": '"_step":9}', "_step": 4}), 0) == 4
    assert rows.step_of('{"a":NaN}', 6) == 6


def test_a_step_with_thousands_of_digits_is_none() -> None:
    """Python refuses to read the longest, and no chart can draw the others; the row counts with its line number."""
    assert [rows.step_of('{"_step": ' + "9" * digits + "}", 7) for digits in (400, 5000)] == [7, 7]
    assert rows.step_of('{"_step": ' + "9" * 30 + "}", 7) == 10**30 - 1


def test_a_key_with_a_dot_is_found_literally_and_as_a_path() -> None:
    """Clients name nested values by dotted keys, and users log such keys too."""
    row = rows.parse('{"a.b": 1, "c": {"d": {"e": 2}}, "f.g": {"h": 3}}')
    assert [rows.value_at(row, key) for key in ("a.b", "c.d.e", "f.g.h", "c.x", "z")] == [1, 2, 3, None, None]


def test_a_sample_holds_the_first_and_the_last_row(store: SqlStore) -> None:
    """Thinned evenly over batch borders, without repeating a row."""
    run = _logged(store, [f'{{"_step":{step}}}' for step in range(5000)])
    steps = [rows.parse(line)["_step"] for line in HistoryReader(store).sample(run, HISTORY, 500)]
    assert (steps[0], steps[-1], len(steps)) == (0, 4999, 500)
    assert steps == sorted(set(steps))


def test_a_page_has_every_row_of_its_steps_in_order(store: SqlStore) -> None:
    """The stop step is not in the page; rows that were written out of order come in order."""
    run = _logged(store, [f'{{"_step":{step}}}' for step in (5, 1, 9, 3, 7)])
    page = HistoryReader(store).page(run, 3, 9)
    assert page == ['{"_step":3}', '{"_step":5}', '{"_step":7}']


def test_a_replaced_line_is_read_anew(store: SqlStore) -> None:
    """What was remembered of a batch does not outlive it."""
    reader = HistoryReader(store)
    run = _logged(store, ['{"_step":0,"a":1}', '{"_step":1,"a":2}'])
    before = reader.keys(run)
    assert before is not None
    assert before["lastStep"] == 1
    _logged(store, ['{"_step":8,"b":"x"}'], offset=1)
    keys = reader.keys(run)
    assert keys is not None
    assert (keys["lastStep"], set(keys["keys"])) == (8, {"_step", "a", "b"})


def test_keys_tell_types_and_whether_a_metric_only_grows(store: SqlStore) -> None:
    """Counted over batch borders; NaN is spelled as strict JSON allows."""
    lines = [f'{{"_step":{step},"up":{step},"down":{-step}}}' for step in range(3000)]
    run = _logged(store, [*lines, '{"_step":3000,"up":NaN,"t":"x","m":{"_type":"table-file"},"n":{"k":1}}'])
    found = HistoryReader(store).keys(run)
    assert found is not None
    assert found["lastStep"] == 3000
    keys = found["keys"]
    assert keys["up"] == {"typeCounts": [{"type": "number", "count": 3001}], "monotonic": True, "previousValue": "NaN"}
    assert not keys["down"]["monotonic"]
    assert keys["m"]["typeCounts"] == [{"type": "table-file", "count": 1}]
    assert "n.k" in keys


def test_rows_without_all_the_keys_are_left_out(store: SqlStore) -> None:
    """A sample by keys has only rows with every key, and only these keys."""
    run = _logged(store, ['{"_step":0,"a":1}', '{"_step":1,"a":2,"b":{"c":3}}', '{"_step":2,"b":{"c":4}}'])
    found = HistoryReader(store).sampled(run, ["_step", "a", "b.c", "_step"], 500, 0, 100)
    assert found == [{"_step": 1, "a": 2, "b.c": 3}]


def _series(store: SqlStore, run: Run, key: str, view: View | None = None) -> tuple[list[float], list[float]]:
    series = SeriesReader(store, HistoryReader(store)).series(run, key, view or View())
    return series.x.tolist(), series.y.tolist()


@pytest.mark.parametrize("points", ["9" * 5000, "-1", "0", "x", "", "\u0663"])
def test_an_odd_number_of_points_is_none(store: SqlStore, points: str) -> None:
    """An address that was written by hand is answered with as many points as usual, and with no more than at most."""
    run = _logged(store, [f'{{"_step":{step},"a":{step}}}' for step in range(2000)])
    numbers = ChartNumbers(store, SeriesReader(store, HistoryReader(store)))
    assert len(numbers.read(run, ["a"], {"points": points})["series"]["a"]["x"]) == 600


def test_a_chart_keeps_its_spikes(store: SqlStore) -> None:
    """However many points are thinned away, the lowest and the highest stay."""
    values = [0.0] * 4000
    values[1234], values[2345] = 9.0, -9.0
    run = _logged(store, [json.dumps({"_step": step, "v": value}) for step, value in enumerate(values)])
    x, y = _series(store, run, "v", View(points=100))
    assert len(x) <= 100
    assert (x[y.index(9.0)], x[y.index(-9.0)]) == (1234.0, 2345.0)
    assert x == sorted(x)


def test_a_chart_holds_what_can_be_drawn(store: SqlStore) -> None:
    """Texts, booleans, NaN and numbers beyond all bounds have no place; rows without the key leave no point."""
    values = ["1", "NaN", "true", "2.5", '"x"', "1" + "0" * 400, "null", "-3"]
    lines = [f'{{"_step":{10 * step},"v":{value}}}' for step, value in enumerate(values)]
    run = _logged(store, [*lines, '{"_step":99}', "no json", '{"v":4}'])
    assert _series(store, run, "v") == ([0.0, 30.0, 70.0, 10.0], [1.0, 2.5, -3.0, 4.0])
    assert _series(store, run, "w") == ([], [])


def test_a_metric_that_diverges_is_drawn_where_it_is_finite(store: SqlStore) -> None:
    """NaN and the infinities among floating numbers leave gaps and do not spoil the chart."""
    values = ["1.5", "NaN", "Infinity", "0.5", "-Infinity"]
    run = _logged(store, [f'{{"_step":{step},"v":{value}}}' for step, value in enumerate(values)])
    assert _series(store, run, "v") == ([0.0, 3.0], [1.5, 0.5])


def test_a_range_of_a_chart_reaches_its_edges(store: SqlStore) -> None:
    """A zoom shows the points inside, and the next one on either side, so that the line goes on to the edge."""
    run = _logged(store, [f'{{"_step":{step},"v":{step * step}}}' for step in range(100)])
    assert _series(store, run, "v", View(start=50, stop=52)) == ([49, 50, 51, 52, 53], [2401, 2500, 2601, 2704, 2809])
    assert _series(store, run, "v", View(start=98, stop=1e9)) == ([97, 98, 99], [9409, 9604, 9801])
    assert _series(store, run, "v", View(start=1000, stop=2000)) == ([], [])


def test_a_chart_over_another_axis_has_the_rows_that_name_it(store: SqlStore) -> None:
    """Any key can give x: time, or a step of the user's own; rows without it leave no point."""
    lines = ['{"_step":0,"v":1,"epoch":0.5}', '{"_step":1,"v":2}', '{"_step":2,"v":3,"epoch":1.5}', '{"epoch":2}']
    run = _logged(store, lines)
    assert _series(store, run, "v", View(axis="epoch")) == ([0.5, 1.5], [1.0, 3.0])
    assert _series(store, run, "v", View(axis="nothing")) == ([], [])
