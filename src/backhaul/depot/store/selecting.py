"""Selections of runs in SQL.

A condition becomes a test of `runs.id`, never NULL. State, times and user are told by the run's own columns, everything
else by its facets. What SQL cannot tell as Python would (lists and objects as operands, very long texts) is left to it.
"""

from __future__ import annotations

import re
import sqlite3
from itertools import islice
from typing import Any

from backhaul.depot.model import CRASHED_AFTER
from backhaul.depot.selection import Comparison, Condition, Every, Field, Not, Some, Wanted, fields
from backhaul.depot.store.facets import LONG, NULL, encoded

_MOST_OPERANDS = 500
_PLAIN_TEXT = re.compile(r"[\w /:@-]+")
_LISTED = "project_id = :project AND deleted_at IS NULL"
_TIME = "strftime('%Y-%m-%dT%H:%M:%SZ', CAST({} AS INTEGER), 'unixepoch')"
_USER = "coalesce(runs.user, :entity)"
_OWN = {
    "state": (
        "CASE WHEN :now - heartbeat_at > :patience AND state = 'running' THEN 'crashed'"
        " WHEN :now - heartbeat_at > :patience AND state = 'preempting' THEN 'preempted' ELSE state END"
    ),
    "created_at": _TIME.format("created_at"),
    "updated_at": _TIME.format("updated_at"),
    "heartbeat_at": _TIME.format("heartbeat_at"),
    "username": _USER,
    "user.username": _USER,
}
_TESTS = {
    ("$gt", True): "{0} > {1} AND {0} < ''",
    ("$gte", True): "{0} >= {1} AND {0} < ''",
    ("$lt", True): "{0} < {1}",
    ("$lte", True): "{0} <= {1}",
    ("$gt", False): "{0} > {1} AND {0} < x''",
    ("$gte", False): "{0} >= {1} AND {0} < x''",
    ("$lt", False): "{0} < {1} AND {0} >= ''",
    ("$lte", False): "{0} <= {1} AND {0} >= ''",
}
"""Comparisons with a number (True) or a text: numbers come first, then texts, then blobs."""


def uses_facets(wanted: Wanted) -> bool:
    """Whether more is looked at than the runs' own columns."""
    return any(field.name not in _OWN for field in (wanted.order.field, *fields(wanted.condition)))


class CannotTell(Exception):
    """SQL cannot tell this as Python would."""


def select(connection: sqlite3.Connection, project_id: int, wanted: Wanted) -> tuple[int, list[int]]:
    """How many runs pass, and the row numbers of those on the page. Raises CannotTell."""
    terms = _Terms(connection, project_id, wanted)
    where = f"{_LISTED} AND {terms.of(wanted.condition)}"
    if wanted.size and wanted.order.field.name not in _OWN:
        passing = terms.passing(where)
        return len(passing), terms.by_facet(passing)
    (total,) = connection.execute(f"SELECT count(*) FROM runs WHERE {where}", terms.values).fetchone()
    return total, terms.page(where) if wanted.size else []


class _Terms:
    """Conditions as SQL, with the values that they need."""

    def __init__(self, connection: sqlite3.Connection, project_id: int, wanted: Wanted) -> None:
        self._connection = connection
        self._wanted = wanted
        self.values: dict[str, Any] = {
            "project": project_id, "now": wanted.now, "patience": CRASHED_AFTER, "entity": wanted.entity,
        }  # fmt: skip

    def of(self, condition: Condition) -> str:
        """The condition as SQL."""
        if isinstance(condition, Every):
            return " AND ".join(f"({self.of(part)})" for part in condition.parts) or "1"
        if isinstance(condition, Some):
            return " OR ".join(f"({self.of(part)})" for part in condition.parts) or "0"
        if isinstance(condition, Not):
            return f"NOT ({self.of(condition.part)})"
        return self._compared(condition)

    def page(self, where: str) -> list[int]:
        """The row numbers on the page, ordered by the runs' own columns."""
        order, direction = self._wanted.order, "DESC" if self._wanted.order.descending else "ASC"
        if order.field.name == "created_at":
            return self._ids(where, f"created_at {direction}, id {direction}")
        return self._ids(where, f"{_OWN[order.field.name]} {direction}, id")

    def passing(self, where: str) -> set[int]:
        """The row numbers of all runs that pass."""
        return {number for (number,) in self._connection.execute(f"SELECT id FROM runs WHERE {where}", self.values)}

    def by_facet(self, passing: set[int]) -> list[int]:
        """The row numbers on the page, ordered by facets: runs that have the value, then those that lack it.

        The values are read in their order, and runs that do not pass are skipped: the condition is looked at once.
        """
        field, direction = self._wanted.order.field, "DESC" if self._wanted.order.descending else "ASC"
        having = f"project_id = :project AND name = {self._name(field)} AND value < x''"
        query = f"SELECT run_id FROM facets WHERE {having} ORDER BY value {direction}, run_id"
        ordered = (number for (number,) in self._connection.execute(query, self.values) if number in passing)
        start, stop = self._wanted.start, self._wanted.start + self._wanted.size
        found = list(islice(ordered, stop))
        if len(found) < stop:
            found += sorted(passing.difference(found))
        return found[start:stop]

    def _ids(self, where: str, order: str) -> list[int]:
        window = {"start": self._wanted.start, "size": self._wanted.size}
        query = f"SELECT id FROM runs WHERE {where} ORDER BY {order} LIMIT :size OFFSET :start"
        return [number for (number,) in self._connection.execute(query, self.values | window)]

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
            return test.format(_OWN[field.name])
        return self._filed(field, test.format("value"), elements=operator in ("$eq", "$in"))

    def _exists(self, field: Field) -> str:
        return "1" if field.name in _OWN else self._filed(field, "1", elements=False)

    def _filed(self, field: Field, test: str, elements: bool) -> str:
        if field.name in _OWN:
            return "0"
        name = self._name(field)
        names = f"name IN ({name}, {name} || '[]')" if elements else f"name = {name}"
        return f"runs.id IN (SELECT run_id FROM facets WHERE project_id = :project AND {names} AND {test})"

    def _test(self, operator: str, operand: Any) -> str:
        """A test of `{0}`."""
        if operator == "$in":
            return self._among(operand)
        if operator == "$regex":
            return f"{{0}} >= '' AND {{0}} < x'' AND instr({{0}}, {self._value(_literal(operand))}) > 0"
        if isinstance(operand, (list, dict)):
            raise CannotTell
        if operator == "$eq":
            return f"{{0}} = {self._value(_scalar(operand))}"
        if operand is None:
            return "0"
        return _TESTS[operator, not isinstance(operand, str)].format("{0}", self._value(_scalar(operand)))

    def _among(self, operand: Any) -> str:
        if not isinstance(operand, list) or len(operand) > _MOST_OPERANDS:
            raise CannotTell
        return f"{{0}} IN ({', '.join(self._value(_scalar(item)) for item in operand)})"

    def _name(self, field: Field) -> str:
        """The name under which the values are filed; cannot tell when some are too long or have another name too."""
        other = field.unless is not None and self._any("name = ?", field.unless)
        long = self._any("name IN (?, ?) AND value = ?", field.name, f"{field.name}[]", LONG)
        if other or long or field.name.startswith("config._wandb"):
            raise CannotTell
        return self._value(field.name)

    def _any(self, test: str, *values: Any) -> bool:
        query = f"SELECT 1 FROM facets WHERE project_id = ? AND {test} LIMIT 1"
        return self._connection.execute(query, (self.values["project"], *values)).fetchone() is not None

    def _value(self, value: Any) -> str:
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


def _literal(pattern: Any) -> str:
    """The text that a pattern looks for; patterns that are more than a text are left to Python, which can stop them."""
    text = str(pattern)
    if not _PLAIN_TEXT.fullmatch(text):
        raise CannotTell
    return text
