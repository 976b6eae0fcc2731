"""What runs are filtered and sorted by, as rows.

Numbers and texts are kept so that the database compares and sorts them: all numbers before all texts. Bytes, which
sort behind, stand for what has no order. The elements of a list stand under the list's name with `[]`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from backhaul.depot import rows
from backhaul.depot.store.database import Connection

OTHER, NULL, LONG = b"other", b"null", b"long"
"""An object, a list or NaN; a null inside a list; a text that is too long, or that not every database takes.
"""

_LONGEST = 1000  # bytes: together with the name it must fit into a page of an index
_LONGEST_NAME = 500
_PLAIN = ("name", "display_name", "run_group", "job_type", "host", "notes", "description", "sweep")
_NAMES = {"run_group": "group"}
_STALE = "facets_stale AND deleted_at IS NULL"

Facet = tuple[str, Any]


def refresh(connection: Connection, most: int, project_id: int | None = None) -> bool:
    """Files what changed of at most that many runs; whether some are left.

    Of one project, what others are writing or filing is waited for: whoever asks must find what was told before. Of
    all it is left to them: that is done at leisure.
    """
    dialect = connection.dialect
    locking = dialect.passing_over if project_id is None else dialect.locking
    stale = connection.execute(
        f"SELECT id, project_id, config, summary, tags, {', '.join(_PLAIN)} FROM runs"
        f" WHERE {_STALE}{_of_project(project_id)} ORDER BY id LIMIT :most{locking}",
        {"project": project_id, "most": most},
    ).fetchall()
    for run_id, home, config, summary, tags, *plain in stale:
        values = dict(zip((_NAMES.get(name, name) for name in _PLAIN), plain, strict=True))
        wanted = set(_of_run(config, summary, tags, values))
        _replace(connection, run_id, home, wanted)
    return len(stale) == most if project_id is None else are_stale(connection, project_id)


def are_stale(connection: Connection, project_id: int) -> bool:
    """Whether some run of the project changed since its facets were filed."""
    query = f"SELECT 1 FROM runs WHERE {_STALE}{_of_project(project_id)} LIMIT 1"
    return connection.execute(query, {"project": project_id}).fetchone() is not None


def _of_project(project_id: int | None) -> str:
    return "" if project_id is None else " AND project_id = :project"


def is_filed(name: str) -> bool:
    """Whether values of that name are filed."""
    return len(name.encode("utf-8", "replace")) <= _LONGEST_NAME and "\0" not in name


def encoded(value: Any) -> Any:
    """The value as it is filed, before the database's own form of it."""
    if isinstance(value, str):
        text = value.encode("utf-8", "replace")
        return text.decode() if len(text) <= _LONGEST and b"\0" not in text else LONG
    if isinstance(value, float):
        return OTHER if math.isnan(value) else value
    if isinstance(value, int):
        return int(value) if -(1 << 63) <= value < 1 << 63 else _as_float(value)
    return NULL if value is None else OTHER


def _replace(connection: Connection, run_id: int, project_id: int, facets: set[Facet]) -> None:
    """Writes only what differs: of a live run that is its summary."""
    wanted = {(name, connection.dialect.value(value)) for name, value in facets}
    found = set(connection.execute("SELECT name, value FROM facets WHERE run_id = ?", (run_id,)))
    gone = [(project_id, name, value, run_id) for name, value in found - wanted]
    new = [(project_id, name, value, run_id) for name, value in wanted - found]
    connection.executemany("DELETE FROM facets WHERE (project_id, name, value, run_id) = (?, ?, ?, ?)", gone)
    connection.executemany(
        "INSERT INTO facets (project_id, name, value, run_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", new
    )
    connection.execute("UPDATE runs SET facets_stale = FALSE WHERE id = ?", (run_id,))


def _of_run(config: str, summary: str, tags: str, plain: dict[str, Any]) -> Iterator[Facet]:
    for name, value in {**plain, "tags": json.loads(tags)}.items():
        yield from _of_value(name, value)
    items = rows.parse(config).items()
    bare = {name: item.get("value", item) if isinstance(item, dict) else item for name, item in items}
    bare.pop("_wandb", None)  # what the SDK keeps for itself is large, and nobody lists runs by it
    yield from _of_object("config", bare)
    yield from _of_object("summary", rows.parse(summary))


def _of_object(kind: str, row: rows.Row) -> Iterator[Facet]:
    for name in dict.fromkeys(_paths(row)):
        yield from _of_value(f"{kind}.{name}", rows.value_at(row, name))


def _paths(row: rows.Row, prefix: str = "") -> Iterator[str]:
    """The dotted keys of all values, objects among them; where two are spelled the same, `value_at` decides."""
    for key, value in row.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{key}.")


def _of_value(name: str, value: Any) -> Iterator[Facet]:
    if value is None or not is_filed(name):
        return
    name = name.encode("utf-8", "replace").decode()
    yield name, encoded(value)
    if isinstance(value, list):
        for element in value:
            yield f"{name}[]", encoded(element)


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
