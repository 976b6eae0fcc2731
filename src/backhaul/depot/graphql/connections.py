"""Lists in pages, in the shape that Relay clients expect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from backhaul.depot import numbers
from backhaul.depot.graphql.context import Args

T = TypeVar("T")

_LARGEST_PAGE = 10_000


def connection(items: Sequence[T], args: Args, node: Callable[[T], Any] | None = None) -> dict[str, Any]:
    """The page of `items` that `after` and `first` ask for."""
    start, size = window(args)
    return page_of(items[start : start + size], start, len(items), node)


def window(args: Args) -> tuple[int, int]:
    """Where the page begins that is asked for, and its size. Cursors are offsets; a strange one means the start."""
    after, first = str(args.get("after") or ""), args.get("first")
    return numbers.whole(after) or 0, min(first, _LARGEST_PAGE) if isinstance(
        first, int
    ) and first >= 0 else _LARGEST_PAGE


def page_of(page: Sequence[T], start: int, total: int, node: Callable[[T], Any] | None = None) -> dict[str, Any]:
    """A page that begins at `start`, of `total` items.

    Some clients take the next cursor from the last edge, others from `pageInfo`: both are filled.
    """
    stop = start + len(page)
    edges = [
        {"node": node(item) if node else item, "cursor": str(number)} for number, item in enumerate(page, start + 1)
    ]
    return {
        "totalCount": total,
        "edges": edges,
        "pageInfo": {
            "endCursor": str(stop),
            "startCursor": str(start),
            "hasNextPage": stop < total,
            "hasPreviousPage": start > 0,
        },
    }
