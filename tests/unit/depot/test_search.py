"""What a sweep tries next, as a function of its configuration."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from backhaul.depot.refusal import Refused
from backhaul.depot.search import Space

_BOMB = "\n".join(
    ["method: random", "v0: &v0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"v{level}: &v{level} [{', '.join([f'*v{level - 1}'] * 10)}]" for level in range(1, 12)]
    + ["parameters: {a: {values: *v11}}"]
)
"""Short, and a hundred gigabytes when its aliases are written out."""


def _space(parameters: Any, method: str = "random", **more: Any) -> Space:
    return Space(json.dumps({"method": method, "parameters": parameters, **more}))


def test_a_grid_is_every_combination_once() -> None:
    """Values, fixed values, ranges of whole numbers, and parameters inside others."""
    space = _space({"a": {"values": [1, None]}, "b": {"value": "x"},
                    "c": {"parameters": {"d": {"min": 3, "max": 4}, "e": {"value": 5}}}}, "grid")  # fmt: skip
    points = [space.point(number, Random(0)) for number in range(4)]
    assert space.count == 4
    assert points == [
        {"a": {"value": a}, "b": {"value": "x"}, "c": {"value": {"d": d, "e": 5}}} for a in (1, None) for d in (3, 4)
    ]


@pytest.mark.parametrize(
    ("method", "more", "count"),
    [("grid", {}, 3), ("grid", {"run_cap": 2}, 2), ("random", {}, None), ("random", {"run_cap": 9}, 9)],
)
def test_a_search_ends_with_its_grid_or_its_cap(method: str, more: dict[str, Any], count: int | None) -> None:
    """A random search without a cap has no end."""
    assert _space({"a": {"values": [1, 2, 3]}}, method, **more).count == count


@pytest.mark.parametrize(
    ("spec", "low", "high"),
    [
        ({"min": 1, "max": 5}, 1, 5),
        ({"min": 0.5, "max": 1.5}, 0.5, 1.5),
        ({"distribution": "log_uniform", "min": 0, "max": 1}, 1, 2.7183),
        ({"distribution": "log_uniform_values", "min": 0.01, "max": 100}, 0.01, 100),
        ({"distribution": "inv_log_uniform", "min": 0, "max": 1}, 0.3678, 1),
        ({"distribution": "inv_log_uniform_values", "min": 2, "max": 3}, 2, 3),
        ({"distribution": "q_uniform", "min": 0, "max": 100, "q": 25}, 0, 100),
        ({"distribution": "beta", "a": 2, "b": 3}, 0, 1),
        ({"distribution": "log_normal", "mu": 0, "sigma": 0.1}, 0.3, 3),
        ({"mu": 10, "sigma": 0}, 10, 10),
    ],
)
def test_what_is_drawn_lies_where_it_must(spec: dict[str, Any], low: float, high: float) -> None:
    """All over the range, never outside of it."""
    space, chance = _space({"a": spec}), Random(1)
    found = [space.point(0, chance)["a"]["value"] for _ in range(300)]
    slack = (high - low) * 1e-9
    assert all(low - slack <= value <= high + slack for value in found)
    if spec.get("distribution", "").startswith("q_"):
        assert set(found) == {0, 25, 50, 75, 100}
    elif low != high:
        assert len(set(found)) > 4


def test_probabilities_count() -> None:
    """A value that is improbable comes seldom, an impossible one never."""
    space, chance = _space({"a": {"values": ["often", "seldom", "never"], "probabilities": [0.9, 0.1, 0]}}), Random(1)
    found = [space.point(0, chance)["a"]["value"] for _ in range(500)]
    assert found.count("often") > 400
    assert found.count("seldom") > 20
    assert "never" not in found


@pytest.mark.parametrize(
    "text",
    [
        "- a list",
        "{unfinished",
        json.dumps({"method": "magic", "parameters": {"a": {"value": 1}}}),
        json.dumps({"method": "grid"}),
        json.dumps({"method": "grid", "parameters": {}}),
        json.dumps({"method": "grid", "parameters": {"a": {"min": 0.0, "max": 1.0}}}),
        json.dumps({"method": "random", "parameters": {"a": {"distribution": "unheard-of"}}}),
        json.dumps({"method": "random", "parameters": {"a": {"values": []}}}),
        json.dumps({"method": "random", "parameters": {"a": {"min": "x", "max": 2}}}),
        json.dumps({"method": "random", "parameters": {"a": {"distribution": "log_uniform", "min": 0, "max": 1e9}}}),
        json.dumps({"method": "random", "parameters": {"a": 7}}),
        json.dumps({"method": "random", "parameters": {str(number): {"value": 1} for number in range(1001)}}),
        "method: random\nparameters: &p {a: {parameters: *p}}",
        "method: random\nparameters: {a: {values: &v [*v]}}",
        "method: grid\nparameters: {a: {values: [{? [1]: 2}]}}",
        json.dumps({"method": "grid", "parameters": {"a": {"min": 0, "max": 10**30}}}),
        _BOMB,
    ],
)
def test_a_configuration_that_cannot_be_searched_is_refused(text: str) -> None:
    """400 when the sweep is made, not when an agent asks."""
    with pytest.raises(Refused):
        Space(text)


def test_a_date_is_a_text() -> None:
    """YAML reads it as something that JSON, which agents are sent, does not have."""
    space = Space("method: grid\nparameters: {day: {values: [2026-01-01, 2026-01-02]}}")
    assert json.loads(json.dumps(space.point(1, Random(0)))) == {"day": {"value": "2026-01-02"}}
