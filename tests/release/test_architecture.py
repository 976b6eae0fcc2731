"""The page on the architecture tells the imports as they are."""

from __future__ import annotations

import re

import grimp
import pytest

from .conftest import ROOT

_PAGE = ROOT / "docs" / "internals" / "architecture.md"
_ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)


def _told() -> dict[str, set[str]]:
    """Which rooms each room imports, by the page."""
    return {room: set(re.findall(r"`(\w+)`", imports)) for room, imports in _ROW.findall(_PAGE.read_text())}


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """Which rooms each room imports, by the code; also where only types are looked at."""
    graph = grimp.build_graph("backhaul", cache_dir=None)
    rooms: dict[str, set[str]] = {}
    for module in graph.modules - {"backhaul", "backhaul.__main__"}:
        others = rooms.setdefault(module.split(".")[1], set())
        others |= {name.split(".")[1] for name in graph.find_modules_directly_imported_by(module) if "." in name}
    return {room: others - {room} for room, others in rooms.items()}


def test_every_room_and_all_that_it_imports_is_told(imported: dict[str, set[str]]) -> None:
    """No room and no arrow is missing, and none is told that is not there."""
    assert _told() == imported


def test_rooms_are_told_from_the_top_down(imported: dict[str, set[str]]) -> None:
    """Who reads the table finds what a room knows further down."""
    order = list(_told())
    for room, others in imported.items():
        assert all(order.index(room) < order.index(other) for other in others), room
