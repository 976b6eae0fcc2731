"""The paths of a command, with what is a bundle among them opened.

What reads bundles takes as long to load as most commands take at all, so it is loaded when one may be there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backhaul.bundle.visit import Visit
from backhaul.runs.sight import is_folder


@contextmanager
def opened(paths: Sequence[Path], *, signed_by: str | None = None) -> Iterator[Visit]:
    """The paths with bundles opened for as long as the block lasts; says what was opened, and what is wrong with it.

    Raises what `visiting` raises.
    """
    # Of what is closed to us, whoever opens bundles says so.
    if signed_by is None and all(map(is_folder, paths)):
        yield Visit(tuple(paths))
        return
    from backhaul.cli.bundle_view import opened_bundles

    with opened_bundles(paths, signed_by=signed_by) as visit:
        yield visit


def bundles_json(visit: Visit) -> dict[str, Any]:
    """What the document of a command has beside its own, when it looked at bundles."""
    if not visit.bundles:
        return {}
    from backhaul.cli.bundle_view import bundle_json

    return {"bundles": [bundle_json(visited.bundle, visited.unpacked) for visited in visit.bundles]}
