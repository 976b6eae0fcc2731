"""Take values out of a decoded answer, and say precisely which one is not what it should be."""

from __future__ import annotations

import json
from collections.abc import Mapping

from backhaul.errors import UnexpectedAnswer


def strict_json(body: bytes, doing: str) -> object:
    """Decode `body`; raises UnexpectedAnswer unless it is strict JSON (no NaN or Infinity outside of strings)."""
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise UnexpectedAnswer(f"{doing} failed: the answer is not JSON") from None


def _refuse(name: str) -> float:
    raise ValueError(name)


class Node:
    """One JSON object of an answer, together with its place; wrong types raise UnexpectedAnswer with that place."""

    def __init__(self, value: object, place: str) -> None:
        if not isinstance(value, dict):
            raise UnexpectedAnswer(f"{place} is no object in the server's answer")
        self._fields: Mapping[str, object] = value
        self._place = place

    def node(self, name: str) -> Node:
        """The object under `name`."""
        return Node(self._fields.get(name), f"{self._place}.{name}")

    def node_or_none(self, name: str) -> Node | None:
        """The object under `name`, or None for null or nothing."""
        return None if self._fields.get(name) is None else self.node(name)

    def answered(self, name: str) -> Node | None:
        """The object under `name`, or None for null; nothing under that name is no answer."""
        if name not in self._fields:
            raise self._wrong(name, "there")
        return self.node_or_none(name)

    def nodes(self, name: str) -> list[Node]:
        """The objects of the list under `name`."""
        return [Node(value, f"{self._place}.{name}[]") for value in self._list(name)]

    def text(self, name: str) -> str:
        """The text under `name`, which must not be empty."""
        text = self._fields.get(name)
        if not isinstance(text, str) or not text:
            raise self._wrong(name, "a text")
        return text

    def text_or(self, name: str, default: str = "") -> str:
        """The text under `name`; `default` for null or nothing."""
        text = self._fields.get(name)
        if text is None:
            return default
        if not isinstance(text, str):
            raise self._wrong(name, "a text")
        return text

    def texts(self, name: str) -> list[str]:
        """The texts of the list under `name`; null or nothing is an empty list."""
        values = [] if self._fields.get(name) is None else self._list(name)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(name, "a list of texts")
        return [str(value) for value in values]

    def count(self, name: str) -> int:
        """The whole number (0 or more) under `name`, as a number or (Int64 of some servers) as a text of digits."""
        count = self.count_or_none(name)
        if count is None:
            raise self._wrong(name, "a number")
        return count

    def count_or_none(self, name: str) -> int | None:
        """Like `count`, but None for null or nothing."""
        value = self._fields.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise self._wrong(name, "a number")

    def flag(self, name: str) -> bool:
        """Whether `name` is true."""
        return self._fields.get(name) is True

    def raw(self, name: str) -> object:
        """The value under `name` as it is."""
        return self._fields.get(name)

    def lines(self, name: str) -> list[str]:
        """The texts of a list that is itself written as JSON text, such as `historyTail`; null is an empty list."""
        text = self.text_or(name)
        try:
            lines = json.loads(text) if text else []
        except (ValueError, RecursionError):
            lines = None
        if lines is None and text == "null":
            return []
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise self._wrong(name, "a JSON text of a list of texts")
        return lines

    def _list(self, name: str) -> list[object]:
        values = self._fields.get(name)
        if not isinstance(values, list):
            raise self._wrong(name, "a list")
        return values

    def _wrong(self, name: str, wanted: str) -> UnexpectedAnswer:
        return UnexpectedAnswer(f"{self._place}.{name} is not {wanted} in the server's answer")
