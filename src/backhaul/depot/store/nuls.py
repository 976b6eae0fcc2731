"""Texts with a NUL, which PostgreSQL does not take: escaped on the way in, as they were on the way out.

A client may send such a text in any JSON (`\\u0000`), and SQLite keeps it. The escape is U+FFFF, which stands for no
character; a text that has it all the same has it escaped, too.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.types.string import StrDumper

_ESCAPE = "\uffff"


def escaped(text: str) -> str:
    """The text as the database keeps it."""
    if "\0" not in text and _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE, f"{_ESCAPE}1").replace("\0", f"{_ESCAPE}0")


def unescaped(text: str) -> str:
    """The text that was escaped."""
    return text.replace(f"{_ESCAPE}0", "\0").replace(f"{_ESCAPE}1", _ESCAPE) if _ESCAPE in text else text


def pass_through(raw: psycopg.Connection[Any]) -> None:
    """From now on the connection takes and gives texts with NULs; it must speak UTF-8."""
    raw.adapters.register_dumper(str, _Dumper)
    raw.adapters.register_loader("text", _Loader)
    raw.adapters.register_loader("text", _BinaryLoader)


class _Dumper(StrDumper):
    """A text is a text, also where the statement leaves it open."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(escaped(obj))


class _Loader(Loader):
    def load(self, data: Buffer) -> str:
        return unescaped(str(data, "utf-8"))


class _BinaryLoader(_Loader):
    format = Format.BINARY
