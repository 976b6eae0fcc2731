"""The run's summary, from the log's summary records.

The Go engine (0.18 on) logs every automatic summary value, so applying the records in order yields the summary. The
Python engine (to 0.17) writes one summary record, after the exit record; of a run that was killed before that, see
`summary_of_history`. `_step` is always that of the last row (spec: sync protocol 6).
"""

from __future__ import annotations

import json

from backhaul.runs.keytree import (
    MOST_LEVELS,
    Tree,
    is_json,
    plain_members,
    plain_tree,
    remove_value,
    set_value,
    to_json,
    tree_of,
    with_earlier,
)
from backhaul.runs.plain_items import is_path, labels, plain_items
from backhaul.runs.set_aside import NO_VALUE, SetAside, name_of
from backhaul.runs.table import Path
from backhaul.wandblog.schema import DecodeError, SummaryRecord
from backhaul.wandblog.state import State, bytes_of, text_of

_MOST_WAITING_BYTES = 256 << 10


class Summary:
    """Takes summary records in order."""

    def __init__(self) -> None:
        self.from_records = False
        self._waiting: dict[bytes, None] = {}
        self._waiting_bytes = 0
        self._flat: dict[str, str] = {}
        self._tree: Tree = {}
        self._earlier: Tree = {}
        # All that this log ever removed: an earlier part's values under these paths are gone, too.
        self._removed: dict[Path, None] = {}
        # What never came into the tree.
        self._void: dict[SetAside, None] = {}

    def go_on_from(self, earlier: str) -> None:
        """Keep, of an earlier part's summary, the keys that the log neither sets nor removes."""
        for key, value in plain_members(earlier).items():
            self._earlier[key] = json.dumps(value, ensure_ascii=False).encode()

    def state(self) -> State:
        """What was taken so far of this log, in the parts in which it is kept: they decide the order of the keys."""
        return {
            "from_records": self.from_records,
            "waiting": [text_of(each) for each in self._waiting],
            "flat": dict(self._flat),
            "tree": plain_tree(self._tree),
            "removed": list(map(list, self._removed)),
            "void": [[each.what, each.reason] for each in self._void],
        }

    def restore(self, state: State) -> None:
        """Go on from a `state()`."""
        self.from_records = state["from_records"]
        self._waiting = dict.fromkeys(map(bytes_of, state["waiting"]))
        self._waiting_bytes = sum(map(len, self._waiting))
        self._flat, self._tree = dict(state["flat"]), tree_of(state["tree"])
        self._removed = dict.fromkeys(map(tuple, state["removed"]))
        self._void = {SetAside(what, reason): None for what, reason in state["void"]}

    def apply(self, summary: bytes) -> None:
        """Take one SummaryRecord, given as its bytes: its updates, then its removals; void if it does not decode.

        The Go engine writes two of these for each row, and only the last value of a key counts: so they are put by and
        taken apart many at a time, the same one only once.
        """
        self.from_records = True
        if summary in self._waiting:
            del self._waiting[summary]
        else:
            self._waiting_bytes += len(summary)
        self._waiting[summary] = None
        if self._waiting_bytes > _MOST_WAITING_BYTES:
            self._take_waiting()

    def _take_waiting(self) -> None:
        waiting, self._waiting, self._waiting_bytes = list(self._waiting), {}, 0
        if self._take_plain(b"".join(waiting)):
            return
        for summary in waiting:
            if not self._take_plain(summary):
                self._take_general(summary)

    def _take_plain(self, summary: bytes) -> bool:
        """Take a record of plain updates whose order does not matter; False, and nothing done, for any other."""
        pairs = plain_items(summary)
        if pairs is None:
            return False
        # Kept apart, as text, until the tree is asked for or written below one.
        flat = dict(pairs)
        paths = [tuple(labels(key)) for key in flat if is_path(key)]
        if paths:
            depths = dict.fromkeys((path[0], len(path)) for path in paths)
            if len(depths) != len({root for root, _ in depths}) or any(root in flat for root, _ in depths):
                return False
            self._set_paths([(path, flat.pop(key)) for path, key in zip(paths, filter(is_path, [*flat]), strict=True)])
        self._flat.update(flat)
        return True

    def _set_paths(self, values: list[tuple[Path, str]]) -> None:
        if any(path[0] in self._flat for path, _ in values):
            self._settle_flat()
        for path, raw in values:
            self._set(path, raw.encode())

    def _take_general(self, summary: bytes) -> None:
        try:
            record = SummaryRecord.FromString(summary)
        except DecodeError:
            self._void[SetAside("summary record", "its bytes do not decode")] = None
            return
        self._settle_flat()
        for item in record.update:
            self._set(tuple(item.nested_key) or (item.key,), item.value_json)
        for item in record.remove:
            path = tuple(item.nested_key) or (item.key,)
            remove_value(self._tree, path)
            self._removed[path] = None

    def _set(self, path: Path, raw: bytes) -> None:
        # Deeper ones are no JSON that we could carry, whatever is there.
        if len(path) <= MOST_LEVELS:
            set_value(self._tree, path, raw)
        else:
            self._void[_value(path)] = None

    def set(self, path: Path, raw: bytes) -> None:
        """Set what is at a path to a raw JSON value."""
        self._settle()
        self._set(path, raw)

    def to_json(self, last_step: int | None) -> str | None:
        """The summary as one line, or None when there is nothing to tell.

        Null values and those that `set_aside` tells are left out. `last_step` becomes `_step`; None leaves it out.
        """
        self._settle()
        sent, _ = _sorted_out(self._tree)
        tree = with_earlier(sent, self._kept_of_earlier())
        tree.pop("_step", None)
        if last_step is not None:
            tree["_step"] = b"%d" % last_step
        return to_json(tree).decode() if tree else None

    def set_aside(self) -> list[SetAside]:
        """The values, as they stand, that are not JSON or nested too deep; and records that do not decode."""
        self._settle()
        _, others = _sorted_out(self._tree)
        return [*map(_value, others), *self._void]

    def _kept_of_earlier(self) -> Tree:
        for path in self._removed:
            remove_value(self._earlier, path)
        # A null of this log is left out, and takes the place of an earlier value all the same.
        return {key: value for key, value in self._earlier.items() if key not in self._tree}

    def _settle(self) -> None:
        self._take_waiting()
        self._settle_flat()

    def _settle_flat(self) -> None:
        for key, raw in self._flat.items():
            set_value(self._tree, (key,), raw.encode())
        self._flat.clear()


def _value(path: Path) -> SetAside:
    return SetAside(f"summary value {name_of(path)}", f"{NO_VALUE}; all others are sent")


def _sorted_out(tree: Tree, above: Path = ()) -> tuple[Tree, list[Path]]:
    """What of a tree can be sent, without nulls, and the paths of what cannot."""
    kept: Tree = {}
    others: list[Path] = []
    for key, value in tree.items():
        path = (*above, key)
        if isinstance(value, dict):
            kept[key], more = _sorted_out(value, path)
            others += more
        elif not is_json(value, len(path)):
            others.append(path)
        elif value != b"null":
            kept[key] = value
    return kept, others
