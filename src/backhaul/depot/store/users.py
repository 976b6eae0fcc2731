"""People and their keys as rows."""

from __future__ import annotations

import sqlite3

from backhaul.depot.model import User


def put(connection: sqlite3.Connection, user: User, key_hash: bytes, now: float) -> None:
    """Adds the user, or gives a known one this key and role."""
    connection.execute(
        "INSERT INTO users (name, key_hash, admin, created_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET key_hash = excluded.key_hash, admin = excluded.admin",
        (user.name, key_hash, user.admin, now),
    )


def remove(connection: sqlite3.Connection, name: str) -> None:
    """Forgets the user and the key; what was sent with it stays."""
    connection.execute("DELETE FROM users WHERE name = ?", (name,))


def by_key(connection: sqlite3.Connection, key_hash: bytes) -> User | None:
    """Whose key it is."""
    row = connection.execute("SELECT name, admin FROM users WHERE key_hash = ?", (key_hash,)).fetchone()
    return User(row[0], bool(row[1])) if row else None


def every(connection: sqlite3.Connection) -> list[User]:
    """All of them, by name."""
    rows = connection.execute("SELECT name, admin FROM users ORDER BY name")
    return [User(name, bool(admin)) for name, admin in rows]
