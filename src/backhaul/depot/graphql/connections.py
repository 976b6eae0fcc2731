"""Lists in pages, in the shape that Relay clients expect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from backhaul.depot import numbers
from backhaul.depot.graphql.context import Args

T = TypeVar("T")

_LARGEST_PAGE = 10_000


def connection(items: Sequence[T], args: Args, node: Callable[[T], Any] | None = None) -> dict[str, Any]:
    """The page of `items` that `after` and `first` ask for. Cursors are offsets; a strange one means the start.

    Some clients take the next cursor from the last edge, others from `pageInfo`: both are filled.
    """
    after, first = str(args.get("after") or ""), args.get("first")
    start = numbers.whole(after) or 0
    size = min(first, _LARGEST_PAGE) if isinstance(first, int) and first >= 0 else _LARGEST_PAGE
    page = items[start : start + size]
    stop = start + len(page)
    edges = [
        {"node": node(item) if node else item, "cursor": str(number)} for number, item in enumerate(page, start + 1)
    ]
    return {
        "totalCount": len(items),
        "edges": edges,
        "pageInfo": {
            "endCursor": str(stop),
            "startCursor": str(start),
            "hasNextPage": stop < len(items),
            "hasPreviousPage": start > 0,
        },
    }
