"""A row of the queue as the database has it, and what becomes of it. Pure functions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from backhaul.sync.progress import LogStamp
from backhaul.unattended.queue.decision import Decision
from backhaul.unattended.queue.entry import NOTHING_READ, Entry, Item, Key, QueueState, Reason

_AS_URL = "file:"
_TEXTS = ("host", "log", "run", "to_url", "entity", "project", "state", "owner", "code", "message", "next_step")


def new_item(entry: Entry, now: float) -> Item:
    """The row of a run that was not in the queue."""
    return Item(entry, attempts=0, crashes=0, asked=0, paused=False, queued_at=now, owner="", lease_until=0.0)


def found(item: Item, entry: Entry, now: float) -> Item:
    """The row after its run was found on the disk as `entry` says; itself when there is nothing new."""
    item = _sent_elsewhere(item, entry)
    changed = entry.stamp not in (NOTHING_READ, item.entry.stamp)
    if item.state is QueueState.DROPPED:
        return item
    if item.state is QueueState.SENDING:
        return _seen(item, entry.stamp) if changed else item
    if changed or (item.state is QueueState.RECORDING and entry.state is not QueueState.RECORDING):
        return replaced(item, entry, now)
    return item


def replaced(item: Item, entry: Entry, now: float) -> Item:
    """The row when only what is on the disk counts."""
    if item.state is QueueState.SENDING:
        return _seen(item, entry.stamp)
    item = _sent_elsewhere(item, entry)
    old = item.entry
    entry = replace(entry, to=old.to, entity=old.entity, project=old.project)
    # What arrives again after it was delivered is as old as its return.
    came_back = item.state in (QueueState.VERIFIED, QueueState.DROPPED) and entry.state is not QueueState.VERIFIED
    queued_at = now if came_back else item.queued_at
    return replace(item, entry=entry, attempts=0, crashes=0, asked=item.asked + 1, queued_at=queued_at)


def asked_for(item: Item, now: float) -> Item:
    """The row after somebody asked for its run."""
    if item.state is QueueState.SENDING:
        return replace(item, asked=item.asked + 1)
    entry = replace(item.entry, state=QueueState.PENDING, due_at=now)
    return replace(item, entry=entry, attempts=0, crashes=0, asked=item.asked + 1)


def taken(item: Item, owner: str, until: float) -> Item:
    """The row in somebody's hand; whoever had it and was not heard of again is counted."""
    crashes = item.crashes + (item.state is QueueState.SENDING)
    entry = replace(item.entry, state=QueueState.SENDING)
    return replace(item, entry=entry, crashes=crashes, owner=owner, lease_until=until)


def settled(item: Item, taken_as: Item, decision: Decision, now: float) -> Item:
    """The row after a try that began when it was `taken_as`.

    If it was asked for since, or its log has grown beyond what was delivered, it is due again. A run that is still
    being recorded grows all the time, and waits for its end all the same.
    """
    seen, due_at, state = item.entry.stamp, decision.due_at, decision.state
    grown = seen not in (taken_as.entry.stamp, decision.stamp) and state is not QueueState.RECORDING
    if grown or item.asked != taken_as.asked:
        state, due_at = QueueState.PENDING, max(now, due_at)
    stamp = seen if grown or decision.stamp == NOTHING_READ else decision.stamp
    entry = replace(item.entry, state=state, due_at=due_at, stamp=stamp, reason=decision.reason)
    return _free(replace(item, entry=entry, attempts=decision.attempts, crashes=0))


def let_go(item: Item, now: float, *, crashed: bool) -> Item:
    """The row when its owner has stopped without a result, in good order or not."""
    entry = replace(item.entry, state=QueueState.PENDING, due_at=now)
    return _free(replace(item, entry=entry, crashes=item.crashes + crashed))


def outlived(item: Item) -> Item:
    """The row when one of those who were not heard of is: he was cut off, and nothing in the run has killed him."""
    return replace(item, crashes=max(0, item.crashes - 1))


def dropped(item: Item) -> Item:
    """The row of a run that is to be left alone."""
    return replace(item, entry=replace(item.entry, state=QueueState.DROPPED, reason=None))


def key_of(key: Key) -> dict[str, str]:
    """The parameters that name a row."""
    return {"host": key.host, "log": text_of(key.log)}


def parameters_of(item: Item) -> dict[str, Any]:
    """The row as parameters of a query."""
    entry, reason = item.entry, item.entry.reason or Reason("", "")
    return {
        **key_of(item.key),
        "run": _storable(entry.run_id),
        "to_url": entry.to,
        "entity": entry.entity,
        "project": entry.project,
        "state": str(entry.state),
        "size": entry.stamp.size,
        "mtime_ns": entry.stamp.mtime_ns,
        "due_at": entry.due_at,
        "attempts": item.attempts,
        "crashes": item.crashes,
        "asked": item.asked,
        "paused": int(item.paused),
        "queued_at": item.queued_at,
        "owner": item.owner,
        "lease_until": item.lease_until,
        "code": reason.code,
        "message": _storable(reason.message),
        "next_step": _storable(reason.next),
    }


def item_of(row: Mapping[str, Any]) -> Item:
    """The row of a query. Raises KeyError, TypeError or ValueError for one that is none."""
    for name in _TEXTS:
        if not isinstance(row[name], str):
            raise TypeError(f"{name} is no text")
    entry = Entry(
        path_of(row["log"]),
        row["to_url"],
        row["entity"],
        row["project"],
        row["host"],
        QueueState(row["state"]),
        LogStamp(int(row["size"]), int(row["mtime_ns"])),
        float(row["due_at"]),
        Reason(row["code"], row["message"], row["next_step"]) if row["code"] else None,
        row["run"],
    )
    return Item(
        entry,
        int(row["attempts"]),
        int(row["crashes"]),
        int(row["asked"]),
        bool(row["paused"]),
        float(row["queued_at"]),
        row["owner"],
        float(row["lease_until"]),
    )


def text_of(path: Path) -> str:
    """The path as text that any database takes: names of bytes that are no UTF-8 go as a URL."""
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        return _AS_URL + quote(os.fsencode(path))
    return text


def path_of(text: str) -> Path:
    """The path that `text_of` made text of."""
    if text.startswith(_AS_URL):
        return Path(unquote(text.removeprefix(_AS_URL), errors="surrogateescape"))
    return Path(text)


def _storable(text: str) -> str:
    # A message may quote a path of any bytes; PostgreSQL takes no NUL.
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _free(item: Item) -> Item:
    return replace(item, owner="", lease_until=0.0)


def _seen(item: Item, stamp: LogStamp) -> Item:
    return replace(item, entry=replace(item.entry, stamp=stamp))


def _sent_elsewhere(item: Item, entry: Entry) -> Item:
    """Who says where the run is to go is heard; who says nothing changes nothing."""
    if not (entry.to or entry.entity or entry.project):
        return item
    return replace(item, entry=replace(item.entry, to=entry.to, entity=entry.entity, project=entry.project))
