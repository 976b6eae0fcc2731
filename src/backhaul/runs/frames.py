"""The history as a pandas or Arrow table. Both libraries are optional, and imported here only."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from backhaul.errors import ConfigurationError
from backhaul.runs.table import Column, Kind, cells, columns_of, flat

_ROWS_AT_A_TIME = 10_000

# Reads all rows anew each time: once for the columns, once for the values.
History = Callable[[], Iterable[Mapping[str, Any]]]


def history_frame(history: History) -> Any:
    """A `pandas.DataFrame`; raises ConfigurationError without pandas."""
    pandas = _optional("pandas")
    columns = columns_of(history())
    values: dict[str, list[Any]] = {column.name: [] for column in columns}
    for row in history():
        found = dict(flat(row))
        for column in columns:
            values[column.name].append(found.get(column.path))
    dtypes = {Kind.BOOL: "boolean", Kind.INT: "Int64", Kind.FLOAT: "float64"}
    return pandas.DataFrame(
        {column.name: pandas.Series(values[column.name], dtype=dtypes.get(column.kind, "object")) for column in columns}
    )


def history_table(history: History) -> Any:
    """A `pyarrow.Table`; raises ConfigurationError without pyarrow."""
    pyarrow = _optional("pyarrow")
    columns = columns_of(history())
    return pyarrow.Table.from_batches(arrow_batches(history(), columns), arrow_schema(columns))


def arrow_schema(columns: list[Column]) -> Any:
    """The `pyarrow.Schema` of these columns."""
    pyarrow = _optional("pyarrow")
    types = {
        Kind.EMPTY: pyarrow.null(),
        Kind.BOOL: pyarrow.bool_(),
        Kind.INT: pyarrow.int64(),
        Kind.FLOAT: pyarrow.float64(),
    }
    return pyarrow.schema([(column.name, types.get(column.kind, pyarrow.string())) for column in columns])


def arrow_batches(rows: Iterable[Mapping[str, Any]], columns: list[Column]) -> Iterator[Any]:
    """The rows as `pyarrow.RecordBatch`es of some thousand rows each."""
    pyarrow = _optional("pyarrow")
    schema = arrow_schema(columns)
    remaining = iter(rows)
    while part := [cells(row, columns) for row in islice(remaining, _ROWS_AT_A_TIME)]:
        by_column = zip(zip(*part, strict=True), schema, strict=True)
        arrays = [pyarrow.array(values, type=field.type) for values, field in by_column]
        yield pyarrow.RecordBatch.from_arrays(arrays, schema=schema)


def _optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            f"{name} is not installed, which this format needs.",
            next="pip install 'backhaul[export]', or take CSV or JSON Lines, which need nothing.",
        ) from error
