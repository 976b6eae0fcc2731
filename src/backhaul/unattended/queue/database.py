"""The door between the queue and whatever keeps its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = Mapping[str, Any]
Execute = Callable[..., Sequence[Row]]
"""Runs the query of this name with these parameters; the rows that it gives."""


class Database(Protocol):
    """Keeps rows. Raises QueueUnavailable, and DiskFull, from everything."""

    def transaction(self) -> AbstractContextManager[Execute]:
        """One at a time, whoever else is there: all of its changes are durable at its end, or none, when it raises."""

    def now(self) -> float:
        """The time (Unix seconds) by the one clock that all who share the rows go by."""

    def close(self) -> None:
        """Let go of the connection."""
