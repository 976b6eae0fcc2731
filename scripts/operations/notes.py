"""The notes in the SDL that say where each coordinate was seen: read, widened, written back with no other change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from graphql import (
    EnumTypeDefinitionNode,
    EnumValueDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    parse,
)

from .sources import version_order

_NOTE = re.compile(r"\s*Seen: (\d[\w.]*?)(?:–(\d[\w.]*?))?\.$")

Member = FieldDefinitionNode | InputValueDefinitionNode | EnumValueDefinitionNode


@dataclass(frozen=True)
class Span:
    """The first and the last release that a coordinate was seen in."""

    first: str
    last: str

    def __str__(self) -> str:
        return f"Seen: {self.first}." if self.first == self.last else f"Seen: {self.first}–{self.last}."

    def widened(self, other: Span | None) -> Span:
        """The span that holds both."""
        versions = sorted([self.first, self.last, *([other.first, other.last] if other else [])], key=version_order)
        return Span(versions[0], versions[-1])


def span_in(description: str | None) -> Span | None:
    """The span that a description ends with; None when it says nothing of releases."""
    found = _NOTE.search(description or "")
    return Span(found[1], found[2] or found[1]) if found else None


def spans_in(sdl: str) -> dict[str, Span]:
    """What the SDL says of each coordinate; an argument without a note of its own has its field's."""
    spans: dict[str, Span] = {}
    for coordinate, member in _members(sdl):
        span = span_in(_description(member)) or spans.get(_field_of(coordinate))
        if span:
            spans[coordinate] = span
    return spans


def coordinates_in(sdl: str) -> list[str]:
    """Every coordinate of the SDL, in its order."""
    return [coordinate for coordinate, _ in _members(sdl)]


def with_notes(sdl: str, seen: Mapping[str, Iterable[str]]) -> str:
    """The SDL with each note widened by the releases that the coordinate was seen in. Nothing else is changed, and
    the same input gives the same text again."""
    spans = spans_in(sdl)
    for coordinate, versions in seen.items():
        ordered = sorted(versions, key=version_order)
        spans[coordinate] = Span(ordered[0], ordered[-1]).widened(spans.get(coordinate))
    edits = [_edit(sdl, coordinate, member, spans) for coordinate, member in _members(sdl)]
    for start, end, text in sorted(edits, reverse=True):
        sdl = sdl[:start] + text + sdl[end:]
    return sdl


def _edit(sdl: str, coordinate: str, member: Member, spans: Mapping[str, Span]) -> tuple[int, int, str]:
    """Start, end and new text of the place where the member's description stands."""
    span = spans.get(coordinate)
    if "(" in coordinate and span == spans.get(_field_of(coordinate)):
        span = None
    prose = _NOTE.sub("", _description(member))
    text = " ".join(part for part in (prose, str(span or "")) if part)
    start, name = _start(member), member.name.loc
    assert name is not None
    alone = not sdl[sdl.rfind("\n", 0, start) + 1 : start].strip()
    gap = "\n" + " " * (start - sdl.rfind("\n", 0, start) - 1) if alone else " "
    return start, name.start, f'"{text}"{gap}' if text else ""


def _members(sdl: str) -> Iterator[tuple[str, Member]]:
    for definition in parse(sdl).definitions:
        match definition:
            case ObjectTypeDefinitionNode() | InterfaceTypeDefinitionNode():
                for held in definition.fields or ():
                    coordinate = f"{definition.name.value}.{held.name.value}"
                    yield coordinate, held
                    yield from ((f"{coordinate}({arg.name.value}:)", arg) for arg in held.arguments or ())
            case InputObjectTypeDefinitionNode():
                yield from ((f"{definition.name.value}.{held.name.value}", held) for held in definition.fields or ())
            case EnumTypeDefinitionNode():
                yield from ((f"{definition.name.value}.{held.name.value}", held) for held in definition.values or ())


def _description(member: Member) -> str:
    return member.description.value if member.description else ""


def _start(member: Member) -> int:
    assert member.loc is not None
    return member.loc.start


def _field_of(coordinate: str) -> str:
    return coordinate.split("(")[0]
