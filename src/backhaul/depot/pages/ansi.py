"""Colours of a terminal, as names that a style sheet knows. Every other control sequence is left out."""

from __future__ import annotations

import re

_SEQUENCE = re.compile(
    r"\x1b\[([0-9;:]*)m"  # colours and weights
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # any other that moves or clears
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles and links
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_WEIGHTS = {1: "bold", 2: "faint", 3: "slanted", 4: "underlined"}
_SIMPLE = {
    **{30 + number: f"ink{number}" for number in range(8)},
    **{90 + number: f"ink{number}" for number in range(8)},
}

Part = tuple[str, str]
"""A text and the names of its looks, such as `bold ink1`; none for plain text."""


def parts(line: str) -> list[Part]:
    """The line in pieces of one look each."""
    found: list[Part] = []
    looks: list[str] = []
    start = 0
    for sequence in _SEQUENCE.finditer(line):
        _add(found, line[start : sequence.start()], looks)
        looks = _changed(looks, sequence[1])
        start = sequence.end()
    _add(found, line[start:], looks)
    return found


def _add(found: list[Part], text: str, looks: list[str]) -> None:
    look = " ".join(looks)
    if text and found and found[-1][1] == look:
        found[-1] = (found[-1][0] + text, look)
    elif text:
        found.append((text, look))


def _changed(looks: list[str], codes: str | None) -> list[str]:
    """The looks after a sequence; `codes` are its numbers, None for one that is not about looks."""
    if codes is None:
        return looks
    numbers = [int(code[:4]) if code else 0 for code in re.split("[;:]", codes)]
    while numbers:
        number = numbers.pop(0)
        if number in (38, 48):  # colours out of a larger choice: their numbers say nothing here
            del numbers[: 2 if numbers[:1] == [5] else 4]
        looks = _after(looks, number)
    return looks


def _after(looks: list[str], number: int) -> list[str]:
    if number == 0:
        return []
    if number in (22, 23, 24):
        gone = {22: ("bold", "faint"), 23: ("slanted",), 24: ("underlined",)}[number]
        return [look for look in looks if look not in gone]
    if number in _WEIGHTS:
        return [*(look for look in looks if look != _WEIGHTS[number]), _WEIGHTS[number]]
    if number in _SIMPLE or number in (38, 39):
        plain = [look for look in looks if not look.startswith("ink")]
        return [*plain, _SIMPLE[number]] if number in _SIMPLE else plain
    return looks
