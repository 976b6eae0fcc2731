"""What a sweep tries next: points of the space that its configuration spans.

`parameters` maps names to specifications: `value`, `values` (with `probabilities`), `min` and `max`, a `distribution`
with its own fields, or `parameters` again. A grid is numbered, so that a number alone tells the point.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from random import Random
from typing import Any

import yaml

from backhaul.depot.refusal import Refused

_LONGEST = 1 << 20  # characters of a configuration, with its aliases written out
_MOST_VALUES = 1 << 53  # of a range; JSON readers count no further
_MOST_PARAMETERS = 1000
_DEEPEST = 32  # parameters inside others
_METHODS = ("grid", "random", "bayes")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C needs a tenth of the time

Spec = dict[str, Any]
Draw = Callable[[Spec, Random], Any]


class Space:
    """The search space of a sweep. Refused with 400 when its configuration is none."""

    def __init__(self, text: str) -> None:
        config = _parsed(text)
        self.method = config.get("method")
        metric = config.get("metric")
        self.metric: Spec = metric if isinstance(metric, dict) else {}
        self.name = config.get("name") if isinstance(config.get("name"), str) else None
        self.program = config.get("program")
        self._cap = config.get("run_cap") if isinstance(config.get("run_cap"), int) else None
        if self.method not in _METHODS:
            raise Refused(f"invalid sweep configuration: method must be one of {', '.join(_METHODS)}")
        self._leaves = _leaves(config.get("parameters"))
        self._values = [_values(path, spec) for path, spec in self._leaves] if self.method == "grid" else []
        self.point(0, Random(0))  # nothing that cannot be drawn is taken

    @property
    def count(self) -> int | None:
        """How many points are tried; None when there is no end."""
        size = math.prod(len(values) for values in self._values) if self.method == "grid" else None
        bounds = [bound for bound in (size, self._cap) if bound is not None]
        return min(bounds) if bounds else None

    def point(self, number: int, chance: Random) -> dict[str, Any]:
        """The point of that number, as commands to agents hold it. Only a grid goes by the number.

        A Bayesian search is drawn at random, too: the depot has no model of what was found.
        """
        if self.method == "grid":
            drawn: list[Any] = []
            for values in reversed(self._values):
                number, index = divmod(number, len(values))
                drawn.insert(0, values[index])
        else:
            drawn = [_drawn(path, spec, chance) for path, spec in self._leaves]
        return _nested([(path, value) for (path, _), value in zip(self._leaves, drawn, strict=True)])


def _parsed(text: str) -> dict[str, Any]:
    try:
        config = _as_json(yaml.load(text, _LOADER)) if len(text) <= _LONGEST else None
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise Refused(f"invalid sweep configuration: {error}") from error
    if not isinstance(config, dict):
        raise Refused("invalid sweep configuration: it must be a mapping")
    return config


def _as_json(value: Any) -> Any:
    """What agents are told of it: a date is a text. Aliases make a short text as long as they like, or endless."""
    room, pieces = _LONGEST, []
    for piece in json.JSONEncoder(default=str).iterencode(value):
        room -= len(piece)
        if room < 0:
            raise ValueError(f"it has more than {_LONGEST} characters")
        pieces.append(piece)
    return json.loads("".join(pieces))


def _leaves(parameters: Any) -> list[tuple[tuple[str, ...], Spec]]:
    """All parameters, those inside others by their path."""
    found: list[tuple[tuple[str, ...], Spec]] = []
    waiting: list[tuple[tuple[str, ...], Any]] = [((), {"parameters": parameters})]
    while waiting:
        path, spec = waiting.pop(0)
        below = spec.get("parameters") if isinstance(spec, dict) else None
        if not isinstance(spec, dict) or ("parameters" in spec and not (isinstance(below, dict) and below)):
            raise Refused(f"invalid sweep configuration: {'.'.join(path) or 'parameters'} must be a mapping")
        if below is None:
            found.append((path, spec))
        else:
            waiting += [((*path, str(name)), each) for name, each in below.items()]
        if len(found) + len(waiting) > _MOST_PARAMETERS or len(path) > _DEEPEST:
            raise Refused(f"invalid sweep configuration: more than {_MOST_PARAMETERS} parameters, or {_DEEPEST} levels")
    return found


def _values(path: tuple[str, ...], spec: Spec) -> list[Any] | range:
    """What a grid tries of a parameter."""
    if "value" in spec:
        return [spec["value"]]
    if isinstance(spec.get("values"), list) and spec["values"]:
        return list(spec["values"])
    low, high = spec.get("min"), spec.get("max")
    if isinstance(low, int) and isinstance(high, int) and 0 <= high - low < _MOST_VALUES:
        return range(low, high + 1)
    raise Refused(f"invalid sweep configuration: a grid needs the values of {'.'.join(path)}")


def _drawn(path: tuple[str, ...], spec: Spec, chance: Random) -> Any:
    name = str(spec.get("distribution") or _usual(spec))
    try:
        value = _DRAWS[name.removeprefix("q_")](spec, chance)
        return round(value / spec.get("q", 1)) * spec.get("q", 1) if name.startswith("q_") else value
    except (KeyError, TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise Refused(f"invalid sweep configuration: {'.'.join(path)} cannot be drawn ({name}: {error})") from error


def _usual(spec: Spec) -> str:
    """The distribution of a parameter that names none."""
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical"
    if "mu" in spec:
        return "normal"
    return "int_uniform" if isinstance(spec.get("min"), int) and isinstance(spec.get("max"), int) else "uniform"


def _nested(found: list[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    """`{"a": {"value": 1}, "b": {"value": {"c": 2}}}`: only what is outermost is wrapped."""
    bare: dict[str, Any] = {}
    for path, value in found:
        place = bare
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value
    return {name: {"value": value} for name, value in bare.items()}


def _choice(spec: Spec, chance: Random) -> Any:
    return chance.choices(spec["values"], spec.get("probabilities"))[0]


def _log_values(spec: Spec, chance: Random) -> float:
    return math.exp(chance.uniform(math.log(spec["min"]), math.log(spec["max"])))


_DRAWS: dict[str, Draw] = {
    "constant": lambda spec, _chance: spec["value"],
    "categorical": _choice,
    "categorical_w_probabilities": _choice,
    "int_uniform": lambda spec, chance: chance.randint(spec["min"], spec["max"]),
    "uniform": lambda spec, chance: chance.uniform(spec["min"], spec["max"]),
    "log_uniform": lambda spec, chance: math.exp(chance.uniform(spec["min"], spec["max"])),
    "log_uniform_values": _log_values,
    "inv_log_uniform": lambda spec, chance: math.exp(-chance.uniform(spec["min"], spec["max"])),
    "inv_log_uniform_values": _log_values,  # the logarithm of 1/x is spread evenly exactly when that of x is
    "normal": lambda spec, chance: chance.gauss(spec.get("mu", 0), spec.get("sigma", 1)),
    "log_normal": lambda spec, chance: math.exp(chance.gauss(spec.get("mu", 0), spec.get("sigma", 1))),
    "beta": lambda spec, chance: chance.betavariate(spec["a"], spec["b"]),
}
"""By the names that sweep configurations use; with `q_` before it, a value is rounded to multiples of `q`."""
