"""History records → lines of `wandb-history.jsonl`, as the official client sends them.

One line per history record. The step is the row's `_step` when that is an integer, else the next one; a step lower than
the one expected next is raised to it (spec: sync protocol, history rows).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import repeat
from typing import TYPE_CHECKING, Any

from backhaul.runs.keytree import Tree, is_json, merge_value, to_json
from backhaul.runs.set_aside import NO_VALUE, SetAside, name_of
from backhaul.wandblog.schema import DecodeError, HistoryRecord
from backhaul.wandblog.state import State

if TYPE_CHECKING:
    from backhaul.runs.plain_rows import PlainLine

# What the official client sends at most in one line: 10 MiB less 100 KiB. Servers are built for that.
MAX_LINE_BYTES = (10 << 20) - (100 << 10)
# From so many bytes on, rows are looked at together: below, it takes longer to import numpy than to decode them.
_MANY_BYTES = 64 << 10
# A record of fewer bytes has a line that is not too long.
_LONG_BYTES = 1 << 20


class HistoryRows:
    """Makes one line of each history record, in order."""

    def __init__(self, starting_step: int = 0) -> None:
        self.next_step = starting_step
        self.last_step: int | None = None
        self.set_aside: list[SetAside] = []

    def state(self) -> State:
        """What the next line depends on, and what was set aside so far."""
        told = [[item.what, item.reason] for item in self.set_aside]
        return {"next_step": self.next_step, "last_step": self.last_step, "set_aside": told}

    def restore(self, state: State) -> None:
        """Go on from a `state()`."""
        self.next_step, self.last_step = state["next_step"], state["last_step"]
        self.set_aside[:] = [SetAside(what, reason) for what, reason in state["set_aside"]]

    def lines(self, records: Sequence[bytes]) -> Iterator[str]:
        """The lines of HistoryRecords, given as their bytes; those that `line` has none for are left out."""
        for record, plain in zip(records, _plain_lines(records), strict=True):
            if plain is not None and len(record) < _LONG_BYTES and plain[1] >= self.next_step:
                self.last_step = plain[1]
                self.next_step = plain[1] + 1
                yield plain[0]
            elif (line := self.line(record)) is not None:
                yield line

    def line(self, history: bytes) -> str | None:
        """The line of one HistoryRecord, given as its bytes.

        None for a row that is too long to send, or that does not decode; it is told in `set_aside`.
        """
        try:
            record = HistoryRecord.FromString(history)
        except DecodeError:
            self.set_aside.append(SetAside(f"history row after step {self.next_step - 1}", "its bytes do not decode"))
            return None
        tree: Tree = {}
        for item in record.item:
            path = tuple(item.nested_key) or (item.key,)
            raw = item.value_json or typed_value(item)
            if is_json(raw, len(path)):
                merge_value(tree, path, raw)
            else:
                self.set_aside.append(SetAside(f"value of {name_of(path)}", f"{NO_VALUE}; the rest of the row is sent"))
        raw_step = tree.get("_step")
        step = self._advance(json.loads(raw_step) if isinstance(raw_step, bytes) else None)
        tree["_step"] = b"%d" % step
        return self._bounded(to_json(tree).decode(), step)

    def _advance(self, logged: Any) -> int:
        step = logged if type(logged) is int and logged > self.next_step else self.next_step
        self.last_step = step
        self.next_step = step + 1
        return step

    def _bounded(self, line: str, step: int) -> str | None:
        if len(line) * 4 > MAX_LINE_BYTES and len(line.encode()) > MAX_LINE_BYTES:
            self.set_aside.append(SetAside(f"history row of step {step}", f"it is longer than {MAX_LINE_BYTES} bytes"))
            return None
        return line


def _plain_lines(records: Sequence[bytes]) -> Iterator[PlainLine | None]:
    if sum(map(len, records)) < _MANY_BYTES:
        return repeat(None, len(records))
    lines: Iterator[PlainLine | None] = import_module("backhaul.runs.plain_rows").plain_lines(records)
    return lines


def typed_value(item: Any) -> bytes:
    """The JSON of an item that has only the typed form (SDK 0.31 on); empty when it has none."""
    kind = item.WhichOneof("value")
    if kind is None:
        return b""
    if kind == "none":
        return b"null"
    if kind == "json":
        return bytes(item.json.encode())
    return json.dumps(getattr(item, kind), ensure_ascii=False).encode()
