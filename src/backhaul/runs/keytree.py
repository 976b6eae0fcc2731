"""A tree of raw JSON values by path: how config, summary and nested history rows are put together.

Leaves are the bytes of a JSON value as the log has them; they are never decoded and encoded again, except in the rare
case that a later record writes below a leaf that is an object, which is then taken apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Any

MOST_LEVELS = 500
"""Objects and lists inside one another. Python reads JSON of twice that at most, less what has called it."""

_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"|([\[{])|[\]}]', re.DOTALL)
_PLAIN_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]{0,400})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")

# The values are `bytes` (a raw JSON value) or another Tree.
Tree = dict[str, Any]


class _RawNumber(float):
    """A number that remembers how it was written."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> _RawNumber:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __repr__(self) -> str:
        return self.text


def is_json(raw: bytes, level: int = 0) -> bool:
    """Whether `raw` is one value of JSON, as W&B extends it by NaN, Infinity and -Infinity.

    One that is nested deeper than `MOST_LEVELS`, of which `level` are around it, is none that we could carry.
    """
    if _PLAIN_NUMBER.fullmatch(raw) and level <= MOST_LEVELS:
        return True
    if _is_deeper(raw, MOST_LEVELS - level):
        return False
    try:
        json.loads(raw.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _is_deeper(raw: bytes, levels: int) -> bool:
    if levels >= raw.count(b"{") + raw.count(b"["):
        return False
    level = 0
    for token in _BRACKETS.finditer(raw):
        if token[1]:
            level += 1
            if level > levels:
                return True
        elif token[0] in (b"]", b"}"):
            level -= 1
    return levels < 0


def set_value(tree: Tree, path: Sequence[str], raw: bytes) -> None:
    """Put a raw value at `path`; what was there before is replaced."""
    _parent(tree, path)[path[-1]] = raw


def merge_value(tree: Tree, path: Sequence[str], raw: bytes) -> None:
    """Put a raw value at `path`; the keys of an object are merged into what is there already."""
    if is_object(raw):
        _merge(_parent(tree, path), path[-1], _object(raw))
    else:
        set_value(tree, path, raw)


def _merge(parent: Tree, label: str, value: Any) -> None:
    if not isinstance(value, dict):
        parent[label] = _dump(value)
        return
    node = _subtree(parent, label)
    for key, item in value.items():
        _merge(node, key, item)


def remove_value(tree: Tree, path: Sequence[str]) -> None:
    """Take away what is at `path`, if anything is."""
    node = tree
    for label in path[:-1]:
        child = node.get(label)
        if isinstance(child, bytes) and is_object(child):
            child = _subtree(node, label)
        if not isinstance(child, dict):
            return
        node = child
    node.pop(path[-1], None)


def to_json(tree: Tree) -> bytes:
    """The tree as one line of JSON."""
    # Here and below, one call for each level: a generator or comprehension would be a second one.
    members = []
    for key, value in tree.items():
        members.append(encode_key(key) + b":" + (to_json(value) if isinstance(value, dict) else value))
    return b"{" + b",".join(members) + b"}"


def plain_tree(tree: Tree) -> dict[str, Any]:
    """The tree in values that JSON has, whatever bytes are in it, for `tree_of`."""
    return {
        key: plain_tree(value) if isinstance(value, dict) else value.decode(errors="surrogateescape")
        for key, value in tree.items()
    }


def tree_of(plain: dict[str, Any]) -> Tree:
    """The tree that `plain_tree` was given."""
    return {
        key: tree_of(value) if isinstance(value, dict) else value.encode(errors="surrogateescape")
        for key, value in plain.items()
    }


def encode_key(key: str) -> bytes:
    """A key as a JSON string."""
    return encode_basestring(key).encode()


def plain_members(text: str) -> dict[str, Any]:
    """The members of a JSON object; none for anything else."""
    try:
        members = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def with_earlier(tree: Tree, earlier: Tree) -> Tree:
    """The tree, and behind it the top-level keys that only `earlier` has; always in the same order."""
    return {**tree, **{key: earlier[key] for key in sorted(earlier.keys() - tree.keys())}}


def _parent(tree: Tree, path: Sequence[str]) -> Tree:
    node = tree
    for label in path[:-1]:
        node = _subtree(node, label)
    return node


def _subtree(node: Tree, label: str) -> Tree:
    """The tree below `label`, of a leaf its members; an empty one where nothing is that has any."""
    child = node.get(label)
    if not isinstance(child, dict):
        members = _object(child) if isinstance(child, bytes) else {}
        node[label] = child = {key: _dump(value) for key, value in members.items()}
    return child


def is_object(raw: bytes) -> bool:
    """Whether a raw JSON value is an object."""
    return raw.lstrip().startswith(b"{")


def _object(raw: bytes) -> dict[str, Any]:
    """The members of a JSON object, numbers as they were written; none for anything else."""
    try:
        members = json.loads(raw, parse_float=_RawNumber, parse_int=_RawNumber)
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _dump(value: Any) -> bytes:
    if isinstance(value, _RawNumber):
        return value.text.encode()
    parts = []
    if isinstance(value, dict):
        for key, item in value.items():
            parts.append(encode_key(key) + b":" + _dump(item))
        return b"{" + b",".join(parts) + b"}"
    if isinstance(value, list):
        for item in value:
            parts.append(_dump(item))
        return b"[" + b",".join(parts) + b"]"
    return json.dumps(value).encode()
