"""People and their keys. A key is kept as its hash; nobody can read it again, the depot included."""

from __future__ import annotations

import time

from backhaul.depot import names
from backhaul.depot.keys import hashed
from backhaul.depot.model import Account, Role, User
from backhaul.depot.refusal import not_found
from backhaul.depot.store.database import Connection, Database
from backhaul.depot.store.interface import Clock


class SqlUsers:
    """A `Users` in a store's database."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock

    def put(self, user: User, key: str) -> None:
        """See `Users`."""
        _check_names(user)
        self._database.write(lambda c: _put(c, user, hashed(key), self._clock()))

    def change(self, user: User) -> None:
        """See `Users`."""
        _check_names(user)
        if not self._database.write(lambda c: _change(c, user)):
            raise not_found(f"user {user.name!r}")

    def change_key(self, name: str, key: str) -> None:
        """See `Users`."""
        if not self._database.write(lambda c: _change_key(c, name, hashed(key))):
            raise not_found(f"user {name!r}")

    def remove(self, name: str) -> None:
        """See `Users`."""
        if not self._database.write(lambda c: _remove(c, name)):
            raise not_found(f"user {name!r}")

    def by_key(self, key: str) -> Account | None:
        """See `Users`."""
        return self._database.read(lambda c: _find(c, "key_hash", hashed(key)))

    def by_name(self, name: str) -> Account | None:
        """See `Users`."""
        return self._database.read(lambda c: _find(c, "name", name))

    def every(self) -> list[User]:
        """See `Users`."""
        return self._database.read(_every)


def _check_names(user: User) -> None:
    for entity in (user.name, *user.teams):
        names.entity_name(entity)


def _put(connection: Connection, user: User, key_hash: bytes, now: float) -> None:
    connection.execute(
        "INSERT INTO users (name, key_hash, role, created_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET key_hash = excluded.key_hash, role = excluded.role",
        (user.name, key_hash, user.role, now),
    )
    _set_teams(connection, user)


def _change(connection: Connection, user: User) -> bool:
    known = connection.execute("UPDATE users SET role = ? WHERE name = ?", (user.role, user.name)).rowcount > 0
    if known:
        _set_teams(connection, user)
    return known


def _set_teams(connection: Connection, user: User) -> None:
    connection.execute('DELETE FROM teams WHERE "user" = ?', (user.name,))
    rows = [(user.name, entity) for entity in user.teams]
    connection.executemany('INSERT INTO teams ("user", entity) VALUES (?, ?)', rows)


def _change_key(connection: Connection, name: str, key_hash: bytes) -> bool:
    return connection.execute("UPDATE users SET key_hash = ? WHERE name = ?", (key_hash, name)).rowcount > 0


def _remove(connection: Connection, name: str) -> bool:
    return connection.execute("DELETE FROM users WHERE name = ?", (name,)).rowcount > 0


def _find(connection: Connection, column: str, value: str | bytes) -> Account | None:
    row = connection.execute(f"SELECT name, role, key_hash FROM users WHERE {column} = ?", (value,)).fetchone()
    return Account(_user(connection, row[0], row[1]), row[2]) if row else None


def _every(connection: Connection) -> list[User]:
    rows = connection.execute("SELECT name, role FROM users ORDER BY name").fetchall()
    return [_user(connection, name, role) for name, role in rows]


def _user(connection: Connection, name: str, role: str) -> User:
    teams = connection.execute('SELECT entity FROM teams WHERE "user" = ?', (name,))
    return User(name, Role(role), frozenset(entity for (entity,) in teams))
