"""Which runs of a project are wanted, and in which order, as values: a store answers what it can, Python the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from backhaul.depot.model import Run


@dataclass(frozen=True, slots=True)
class Field:
    """What filters and orders look at. `asked` is the name as it came.

    `name` is what a store files the values under: `config.…`, `summary.…`, or a plain field of the run. `unless` is
    another name, which comes first where a run has it: `config.lr.value` means `config.lr`, unless that has a `value`.
    """

    asked: str
    name: str
    unless: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One operator (`$gt`) applied to a run's value."""

    field: Field
    operator: str
    operand: Any


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold; of no parts that is so."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of the parts holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition


Condition: TypeAlias = "Comparison | Every | Some | Not"


def fields(condition: Condition) -> Iterator[Field]:
    """All fields that the condition looks at."""
    if isinstance(condition, Comparison):
        yield condition.field
    else:
        for part in (condition.part,) if isinstance(condition, Not) else condition.parts:
            yield from fields(part)


@dataclass(frozen=True, slots=True)
class Order:
    """By the values of a field, numbers before texts, runs without one last; equal ones by age, the oldest first."""

    field: Field
    descending: bool


Passing: TypeAlias = "frozenset[int] | None"
"""The runs that fulfil a condition, by the numbers that the store gave them; None for all runs of the project."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page of the runs that fulfil the condition. `now` decides who has crashed, `entity` whose nameless runs are.

    `passing` is what an earlier answer said of the same condition, if there was one: it is not looked for again.
    """

    condition: Condition
    order: Order
    start: int
    size: int
    now: float
    entity: str
    passing: Passing = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some of `total` runs."""

    total: int
    runs: list[Run]
    passing: Passing = None
