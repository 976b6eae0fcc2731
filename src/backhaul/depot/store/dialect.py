"""What databases say in words of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Dialect:
    """Pieces of statements; `{}` stands for the expression that a piece is about.

    What runs are filtered and sorted by (see `facets`) is one order of values of all kinds: numbers, then texts, then
    bytes. Where a database has no such order, `value` makes of each something that sorts in this way.
    """

    locking: str
    """Behind a SELECT: its rows are held until the transaction ends."""

    passing_over: str
    """The same, but rows that others hold are not waited for: they are left out."""

    time: str
    """A text such as 2026-09-21T14:13:20Z of the seconds since 1970."""

    listed: str
    """One JSON list of all values of a column, in no order."""

    columns: str
    """A query for the tables that have a column of a name."""

    value: Callable[[Any], Any]
    """A number, text or bytes as it is filed."""

    of_text: str
    """An expression for a text as it is filed."""

    as_text: str
    """The text of a filed value that is one."""

    first_text: str
    """What comes before all filed texts, and behind all numbers."""

    first_bytes: str
    """What comes before all filed bytes, and behind all texts."""

    containing: str
    """Whether the text `{0}` contains `{1}`."""

    like: str
    """Whether the text `{0}` is like the pattern `{1}`, the letters of ASCII in either case, escaped by `!`."""


def _itself(value: Any) -> Any:
    return value


SQLITE = Dialect(
    locking="",  # there is one writer
    passing_over="",
    time="strftime('%Y-%m-%dT%H:%M:%SZ', CAST({} AS INTEGER), 'unixepoch')",
    listed="json_group_array({})",
    columns=(
        "SELECT tables.name FROM sqlite_schema tables JOIN pragma_table_info(tables.name) columns"
        " WHERE tables.type = 'table' AND columns.name = ?"
    ),
    value=_itself,
    of_text="{}",
    as_text="{}",
    first_text="''",
    first_bytes="x''",
    containing="instr({0}, {1}) > 0",
    like="{0} LIKE {1} ESCAPE '!'",
)
