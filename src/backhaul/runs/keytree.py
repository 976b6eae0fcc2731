"""A tree of raw JSON values by path: how config, summary and nested history rows are put together.

Leaves are the bytes of a JSON value as the log has them; they are never decoded and encoded again, except in the rare
case that a later record writes below a leaf that is an object, which is then taken apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Any, cast

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


def is_json(raw: bytes) -> bool:
    """Whether `raw` is one value of JSON, as W&B extends it by NaN, Infinity and -Infinity."""
    if _PLAIN_NUMBER.fullmatch(raw):
        return True
    try:
        json.loads(raw.decode())
    except (ValueError, RecursionError):
        return False
    return True


def set_value(tree: Tree, path: Sequence[str], raw: bytes) -> None:
    """Put a raw value at `path`; what was there before is replaced."""
    _parent(tree, path)[path[-1]] = raw


def merge_value(tree: Tree, path: Sequence[str], raw: bytes) -> None:
    """Put a raw value at `path`; the keys of an object are merged into what is there already."""
    if not raw.lstrip().startswith(b"{"):
        set_value(tree, path, raw)
        return
    children = _split_object(raw)
    if not children:
        parent = _parent(tree, path)
        if not isinstance(parent.get(path[-1]), dict):
            parent[path[-1]] = {}
        return
    for key, value in children.items():
        merge_value(tree, (*path, key), value)


def remove_value(tree: Tree, path: Sequence[str]) -> None:
    """Take away what is at `path`, if anything is."""
    node = tree
    for label in path[:-1]:
        child = node.get(label)
        if not isinstance(child, dict):
            return
        node = child
    node.pop(path[-1], None)


def to_json(tree: Tree) -> bytes:
    """The tree as one line of JSON."""
    return b"{" + b",".join(_member(key, value) for key, value in tree.items()) + b"}"


def _member(key: str, value: Any) -> bytes:
    raw = to_json(value) if isinstance(value, dict) else cast(bytes, value)
    return encode_key(key) + b":" + raw


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
        child = node.get(label)
        if not isinstance(child, dict):
            child = _split_object(child) if isinstance(child, bytes) else {}
            node[label] = child
        node = child
    return node


def _split_object(raw: bytes) -> Tree:
    """The members of a JSON object as raw values (numbers as they were written); an empty tree for anything else."""
    try:
        members = json.loads(raw, parse_float=_RawNumber, parse_int=_RawNumber)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(members, dict):
        return {}
    return {key: _dump(value) for key, value in members.items()}


def _dump(value: Any) -> bytes:
    if isinstance(value, _RawNumber):
        return value.text.encode()
    if isinstance(value, dict):
        return b"{" + b",".join(encode_key(key) + b":" + _dump(item) for key, item in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(_dump, value)) + b"]"
    return json.dumps(value).encode()
