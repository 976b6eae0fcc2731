"""The shape of a metric in constant memory."""

from __future__ import annotations

import math
import sys

from backhaul.runs.curve import Curve


def _curve(values: list[float]) -> Curve:
    curve = Curve()
    for value in values:
        curve.add(value)
    return curve


def test_few_values_are_kept_as_they_are() -> None:
    """A point each."""
    assert _curve([3.0, 1.0, 2.0]).points() == [3.0, 1.0, 2.0]


def test_many_values_become_averages_in_order() -> None:
    """At most 128 points of equal weight, however many values; the extremes are those of all values."""
    curve = _curve([float(value) for value in range(100_000)])
    points = curve.points()
    assert 64 <= len(points) <= 128
    assert points == sorted(points)
    width = points[1] - points[0]
    assert math.isclose(points[0], (width - 1) / 2)
    assert (curve.count, curve.min, curve.max, curve.last) == (100_000, 0.0, 99_999.0, 99_999.0)


def test_odd_numbers_are_counted_and_spoil_nothing() -> None:
    """NaN and infinities are in no average and no extreme."""
    curve = _curve([1.0, math.nan, math.inf, 3.0, -math.inf])
    assert (curve.count, curve.odd, curve.min, curve.max) == (5, 3, 1.0, 3.0)
    assert curve.points() == [1.0, 3.0]
    assert curve.last == -math.inf


def test_memory_does_not_grow() -> None:
    """The list of sums is as short after a million values as after a thousand."""
    curve = _curve([1.0] * 1_000)
    before = sys.getsizeof(curve._sums)
    for _ in range(100_000):
        curve.add(1.0)
    assert sys.getsizeof(curve._sums) <= 2 * before


def test_a_whole_number_beyond_all_floating_ones_is_infinite() -> None:
    """Old SDKs let `10**400` through; the picture of the run must not break by it."""
    curve = _curve([1.0, 10**400, -(10**400)])
    assert (curve.count, curve.odd, curve.max, curve.last) == (3, 2, 1.0, -math.inf)
