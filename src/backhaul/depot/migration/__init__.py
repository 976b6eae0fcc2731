"""A depot moves: from a data folder to a PostgreSQL database and an object store, with everything looked at there."""

from __future__ import annotations

from backhaul.depot.migration.move import Different, Target, migrate

__all__ = ["Different", "Target", "migrate"]
