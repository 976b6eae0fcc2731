"""The named queries of `queries.sql`, read once. No statement is put together anywhere else."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_HEADING = re.compile(r"^-- (\w+)$", re.MULTILINE)
_PARAMETER = re.compile(r":(\w+)")

# In the order in which they are made.
TABLES = ("create_runs", "create_runs_due", "create_runs_run", "create_workers", "create_facts")


@cache
def queries() -> dict[str, str]:
    """Each query by its name, its parameters as `:name`."""
    text = files(__package__).joinpath("queries.sql").read_text(encoding="utf-8")
    _, *parts = _HEADING.split(text)
    return {name: query.strip() for name, query in zip(parts[::2], parts[1::2], strict=True)}


@cache
def queries_for_psycopg() -> dict[str, str]:
    """The same with parameters as psycopg has them, `%(name)s`."""
    return {name: _PARAMETER.sub(r"%(\1)s", query) for name, query in queries().items()}
