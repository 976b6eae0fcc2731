"""State: what reading a log has come to at some place, in values that JSON has, so that it can be kept.

Each part of the reading that remembers something has `state()`, which gives it away, and `restore(state)`, which takes
it up. A state is a function of the bytes that were read, and nothing in it changes when reading goes on. `restore`
raises what `NOT_A_STATE` lists for what was not made by `state()`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

from backhaul.wandblog.damage import Damage, DamageKind

State = dict[str, Any]

NOT_A_STATE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def text_of(data: bytes) -> str:
    """Bytes as text, for `bytes_of`."""
    return b64encode(data).decode()


def bytes_of(text: str) -> bytes:
    """The bytes that `text_of` was given."""
    return b64decode(text, validate=True)


def plain_damages(damages: Iterable[Damage]) -> list[list[Any]]:
    """Damages as lists, for `damages_of`."""
    return [[each.offset, each.length, each.kind.value, *_bounds(each.numbers)] for each in damages]


def damages_of(plain: Iterable[list[Any]]) -> list[Damage]:
    """The damages that `plain_damages` was given."""
    return [
        Damage(offset, length, DamageKind(kind), range(*numbers) if numbers else None)
        for offset, length, kind, *numbers in plain
    ]


def _bounds(numbers: range | None) -> list[int]:
    return [] if numbers is None else [numbers.start, numbers.stop]
