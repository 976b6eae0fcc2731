"""Selections of runs in SQL.

A condition becomes a test of `runs.id`, never NULL. State, times and user are told by the run's own columns, everything
else by its facets. What SQL cannot tell as Python would (lists and objects as operands, very long texts) is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from backhaul.depot.model import CRASHED_AFTER
from backhaul.depot.selection import Comparison, Condition, Every, Field, Not, Passing, Some, Wanted, fields
from backhaul.depot.store.database import Connection
from backhaul.depot.store.facets import LONG, NULL, encoded, is_filed

_MOST_OPERANDS = 500
_FEW = 1000  # runs that pass
_PLAIN_TEXT = re.compile(r"[\w /:@-]+")
_EITHER_CASE = "(?ai)"
_ASCII_TEXT = re.compile(r"[ -~]+")
_ESCAPED = re.compile(r"\\([^a-zA-Z0-9])")
_PLACEHOLDERS, _ESCAPE = re.compile(r"[%_!]"), r"!\g<0>"
_LISTED = "project_id = :project AND deleted_at IS NULL"
_TIMES = ("created_at", "updated_at", "heartbeat_at")
_USER = 'coalesce(runs."user", :entity)'
_STATE = (
    "CASE WHEN :now - heartbeat_at > :patience AND state = 'running' THEN 'crashed'"
    " WHEN :now - heartbeat_at > :patience AND state = 'preempting' THEN 'preempted' ELSE state END"
)
_OWN = frozenset({"state", *_TIMES, "username", "user.username"})
_SIGNS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


def uses_facets(wanted: Wanted) -> bool:
    """Whether more is looked at than the runs' own columns."""
    return any(field.name not in _OWN for field in (wanted.order.field, *fields(wanted.condition)))


class CannotTell(Exception):
    """SQL cannot tell this as Python would."""


def select(connection: Connection, project_id: int, wanted: Wanted) -> tuple[int, list[int], Passing]:
    """How many runs pass, the row numbers of those on the page, and those of all that pass. Raises CannotTell."""
    terms = _Terms(connection, project_id, wanted)
    passing = wanted.passing
    if passing is None and wanted.condition != Every():
        passing = terms.passing()
    total = terms.count() if passing is None else len(passing)
    return total, terms.page(passing), passing


class _Terms:
    """Conditions as SQL, with the values that they need."""

    def __init__(self, connection: Connection, project_id: int, wanted: Wanted) -> None:
        self._connection = connection
        self._dialect = connection.dialect
        self._wanted = wanted
        self.values: dict[str, Any] = {
            "project": project_id, "now": wanted.now, "patience": CRASHED_AFTER, "entity": wanted.entity,
        }  # fmt: skip

    def of(self, condition: Condition) -> str:
        """The condition as SQL."""
        if isinstance(condition, Every):
            return " AND ".join(f"({self.of(part)})" for part in condition.parts) or "TRUE"
        if isinstance(condition, Some):
            return " OR ".join(f"({self.of(part)})" for part in condition.parts) or "FALSE"
        if isinstance(condition, Not):
            return f"NOT ({self.of(condition.part)})"
        return self._compared(condition)

    def count(self) -> int:
        """How many runs there are."""
        (total,) = self._connection.execute(f"SELECT count(*) FROM runs WHERE {_LISTED}", self.values).fetchone()
        return int(total)

    def passing(self) -> frozenset[int]:
        """The row numbers of the runs that pass; as one JSON text, which costs a third of as many rows."""
        listed = self._dialect.listed.format("id")
        query = f"SELECT {listed} FROM runs WHERE {_LISTED} AND ({self.of(self._wanted.condition)})"
        (numbers,) = self._connection.execute(query, self.values).fetchone()
        return frozenset(orjson.loads(numbers))

    def page(self, passing: Passing) -> list[int]:
        """The row numbers on the page.

        The runs are read in their order, and those that do not pass are skipped: few are read until the page is full,
        unless few pass. Then the database skips them, which is faster.
        """
        start, stop = self._wanted.start, self._wanted.start + self._wanted.size
        skipped = ""
        if passing is not None and len(passing) <= _FEW:
            skipped = f"AND {{}} IN ({', '.join(map(str, sorted(passing))) or 'NULL'})"
        found = (number for number in self._ordered(skipped) if passing is None or number in passing)
        return list(islice(found, start, stop)) if self._wanted.size else []

    def _ordered(self, skipped: str) -> Iterator[int]:
        """The runs in the order that is wanted; by facets, those that have the value come before those that lack it."""
        field, direction = self._wanted.order.field, "DESC" if self._wanted.order.descending else "ASC"
        listed = f"SELECT id FROM runs WHERE {_LISTED} {skipped.format('id')}"
        if field.name in _OWN:
            ties = direction if field.name == "created_at" else ""
            value = "created_at" if field.name == "created_at" else self._own(field.name)
            yield from self._numbers(f"{listed} ORDER BY {value} {direction}, id {ties}")
            return
        filed = f"project_id = :project AND name = {self._name(field)} AND value < {self._dialect.first_bytes}"
        having = f"SELECT run_id FROM facets WHERE {filed}"
        yield from self._numbers(f"{having} {skipped.format('run_id')} ORDER BY value {direction}, run_id")
        yield from self._numbers(f"{listed} AND id NOT IN ({having}) ORDER BY id")

    def _numbers(self, query: str) -> Iterator[int]:
        return (number for (number,) in self._connection.stream(query, self.values))

    def _own(self, name: str) -> str:
        """What a run's own columns say, as values are filed."""
        if name in _TIMES:
            return self._dialect.of_text.format(self._dialect.time.format(name))
        return self._dialect.of_text.format(_STATE if name == "state" else _USER)

    def _compared(self, comparison: Comparison) -> str:
        if len(self.values) > _MOST_OPERANDS:
            raise CannotTell
        field, operator, operand = comparison.field, comparison.operator, comparison.operand
        opposite = {"$ne": "$eq", "$nin": "$in"}.get(operator)
        if opposite:
            return f"NOT ({self._compared(Comparison(field, opposite, operand))})"
        if operator == "$exists":
            return self._exists(field) if operand else f"NOT ({self._exists(field)})"
        if operator == "$eq" and operand is None:
            return f"NOT ({self._exists(field)}) OR {self._filed(field, f'value = {self._value(NULL)}', elements=True)}"
        test = self._test(operator, operand)
        if field.name in _OWN:
            return test.format(self._own(field.name))
        return self._filed(field, test.format("value"), elements=operator in ("$eq", "$in"))

    def _exists(self, field: Field) -> str:
        return "TRUE" if field.name in _OWN else self._filed(field, "TRUE", elements=False)

    def _filed(self, field: Field, test: str, elements: bool) -> str:
        if field.name in _OWN:
            return "FALSE"
        name = self._name(field)
        names = f"name IN ({name}, {name} || '[]')" if elements else f"name = {name}"
        return f"runs.id IN (SELECT run_id FROM facets WHERE project_id = :project AND {names} AND {test})"

    def _test(self, operator: str, operand: Any) -> str:
        """A test of `{0}`."""
        if operator == "$in":
            return self._among(operand)
        if operator == "$regex":
            return f"{self._a_text} AND {self._containing(operand)}"
        if isinstance(operand, (list, dict)):
            raise CannotTell
        if operator == "$eq":
            return f"{{0}} = {self._value(_scalar(operand))}"
        if operand is None:
            return "FALSE"
        return self._beyond(_SIGNS[operator], operand)

    def _beyond(self, sign: str, operand: Any) -> str:
        """A comparison with a number or a text, which only values of its kind pass."""
        test = f"{{0}} {sign} {self._value(_scalar(operand))}"
        if isinstance(operand, str):
            return f"{test} AND {self._a_text}"
        return test if sign.startswith("<") else f"{test} AND {{0}} < {self._dialect.first_text}"

    @property
    def _a_text(self) -> str:
        return f"{{0}} >= {self._dialect.first_text} AND {{0}} < {self._dialect.first_bytes}"

    def _containing(self, pattern: Any) -> str:
        """A test of the text `{0}`."""
        text, either_case = _literal(str(pattern))
        if either_case:
            like = self._placed(_PLACEHOLDERS.sub(_ESCAPE, text).join("%%"))
            return self._dialect.like.format(self._dialect.as_text.format("{0}"), like)
        return self._dialect.containing.format(self._dialect.as_text.format("{0}"), self._placed(text))

    def _among(self, operand: Any) -> str:
        if not isinstance(operand, list) or len(operand) > _MOST_OPERANDS:
            raise CannotTell
        if not operand:
            return "FALSE"
        return f"{{0}} IN ({', '.join(self._value(_scalar(item)) for item in operand)})"

    def _name(self, field: Field) -> str:
        """The name under which the values are filed; cannot tell when some are too long or have another name too."""
        if not is_filed(field.name):
            raise CannotTell
        other = field.unless is not None and self._any("name = ?", field.unless)
        long = self._any("name IN (?, ?) AND value = ?", field.name, f"{field.name}[]", self._dialect.value(LONG))
        if other or long or field.name.startswith("config._wandb"):
            raise CannotTell
        return self._placed(field.name)

    def _any(self, test: str, *values: Any) -> bool:
        query = f"SELECT 1 FROM facets WHERE project_id = ? AND {test} LIMIT 1"
        return self._connection.execute(query, (self.values["project"], *values)).fetchone() is not None

    def _value(self, value: Any) -> str:
        return self._placed(self._dialect.value(value))

    def _placed(self, value: Any) -> str:
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"


def _scalar(operand: Any) -> Any:
    """The operand as values are filed. NaN equals nothing; nothing filed equals a float that is not finite either."""
    if operand is None or isinstance(operand, (list, dict)) or operand != operand:
        raise CannotTell
    value = encoded(operand)
    if value == LONG:
        raise CannotTell
    return value


def _literal(pattern: str) -> tuple[str, bool]:
    """The text that a pattern looks for, and whether in either case.

    Patterns that are more than a text are left to Python, which can stop them.
    """
    if not pattern.startswith(_EITHER_CASE):
        if not _PLAIN_TEXT.fullmatch(pattern):
            raise CannotTell
        return pattern, False
    escaped = pattern.removeprefix(_EITHER_CASE)
    text = _ESCAPED.sub(r"\1", escaped)
    if not _ASCII_TEXT.fullmatch(text) or re.escape(text) != escaped:
        raise CannotTell
    return text, True
