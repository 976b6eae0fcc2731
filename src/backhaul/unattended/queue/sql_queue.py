"""The queue over rows of a database: every method is one transaction, what becomes of a row is decided in `row`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace
from types import TracebackType
from typing import Self

from backhaul.unattended.queue import row
from backhaul.unattended.queue.database import Database, Execute
from backhaul.unattended.queue.decision import Decision
from backhaul.unattended.queue.entry import Entry, Item, Key, QueueState, Worker

_PAUSED = "paused"
# Who was not heard of for so long is no longer told of.
_WORKERS_KEPT_FOR = 7 * 86400.0


class SqlQueue:
    """A `Queue` whose rows `database` keeps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """As in `Queue`."""
        self._database.close()

    def add(self, entries: Iterable[Entry]) -> None:
        """As in `Queue`."""
        self._put(entries, row.found)

    def replace(self, entries: Iterable[Entry]) -> None:
        """As in `Queue`."""
        self._put(entries, row.replaced)

    def ask(self, keys: Iterable[Key]) -> int:
        """As in `Queue`."""
        now = self._database.now()
        return self._change(keys, lambda item: row.asked_for(item, now))

    def take(self, owner: str, host: str, *, limit: int, lease: float) -> Sequence[Item]:
        """As in `Queue`."""
        now = self._database.now()
        with self._database.transaction() as execute:
            if _is_paused(execute):
                return []
            due = [row.item_of(each) for each in execute("due", owner=owner, host=host, now=now, most=limit)]
            items = [row.taken(item, owner, now + lease) for item in due]
            for item in items:
                _put_item(execute, item)
        return items

    def extend(self, owner: str, held: Iterable[Key], *, lease: float, words: str) -> Set[Key]:
        """As in `Queue`."""
        now, known = self._database.now(), frozenset(held)
        with self._database.transaction() as execute:
            execute("put_worker", owner=owner, now=now, words=words)
            execute("delete_workers_before", before=now - _WORKERS_KEPT_FOR)
            mine = [row.item_of(each) for each in execute("in_hand", owner=owner)]
            for item in mine:
                if item.key not in known:
                    _put_item(execute, row.let_go(item, now, crashed=False))
            execute("extend", owner=owner, until=now + lease)
        return known & {item.key for item in mine}

    def settle(self, item: Item, decision: Decision) -> bool:
        """As in `Queue`."""
        now = self._database.now()
        with self._database.transaction() as execute:
            there = _item(execute, item.key)
            if there is None:
                return False
            if there.state is not QueueState.SENDING or there.owner != item.owner:
                _put_item(execute, row.outlived(there))
                return False
            _put_item(execute, row.settled(there, item, decision, now))
            return True

    def leave(self, owner: str, *, crashed: bool = False) -> None:
        """As in `Queue`."""
        now = self._database.now()
        with self._database.transaction() as execute:
            for each in execute("in_hand", owner=owner):
                _put_item(execute, row.let_go(row.item_of(each), now, crashed=crashed))
            execute("delete_worker", owner=owner)

    def items(self, states: Iterable[QueueState] | None = None) -> Sequence[Item]:
        """As in `Queue`."""
        wanted = frozenset(QueueState if states is None else states)
        with self._database.transaction() as execute:
            items = [row.item_of(each) for each in execute("runs")]
        return [item for item in items if item.state in wanted]

    def workers(self) -> Sequence[Worker]:
        """As in `Queue`."""
        with self._database.transaction() as execute:
            return [Worker(**each) for each in execute("workers")]

    def drop(self, keys: Iterable[Key]) -> int:
        """As in `Queue`."""
        return self._change(keys, lambda item: item if item.state is QueueState.SENDING else row.dropped(item))

    def forget(self, keys: Iterable[Key]) -> int:
        """As in `Queue`."""
        done = 0
        with self._database.transaction() as execute:
            for key in keys:
                item = _item(execute, key)
                if item is not None and item.state is not QueueState.SENDING:
                    execute("delete_run", **row.key_of(key))
                    done += 1
        return done

    def pause(self, keys: Iterable[Key] | None = None, *, on: bool = True) -> int:
        """As in `Queue`."""
        if keys is not None:
            return self._change(keys, lambda item: replace(item, paused=on))
        with self._database.transaction() as execute:
            execute("put_fact", name=_PAUSED, value="yes" if on else "")
            return len(execute("runs"))

    @property
    def paused(self) -> bool:
        """As in `Queue`."""
        with self._database.transaction() as execute:
            return _is_paused(execute)

    def _put(self, entries: Iterable[Entry], change: Callable[[Item, Entry, float], Item]) -> None:
        now = self._database.now()
        with self._database.transaction() as execute:
            for entry in entries:
                item = _item(execute, entry.key)
                changed = row.new_item(entry, now) if item is None else change(item, entry, now)
                if changed != item:
                    _put_item(execute, changed)

    def _change(self, keys: Iterable[Key], change: Callable[[Item], Item]) -> int:
        """Put what `change` makes of each row that is there; how many became something else."""
        done = 0
        with self._database.transaction() as execute:
            for key in keys:
                item = _item(execute, key)
                if item is not None and (changed := change(item)) != item:
                    _put_item(execute, changed)
                    done += 1
        return done


def _item(execute: Execute, key: Key) -> Item | None:
    rows = execute("run", **row.key_of(key))
    return row.item_of(rows[0]) if rows else None


def _put_item(execute: Execute, item: Item) -> None:
    execute("put_run", **row.parameters_of(item))


def _is_paused(execute: Execute) -> bool:
    rows = execute("fact", name=_PAUSED)
    return bool(rows and rows[0]["value"])
