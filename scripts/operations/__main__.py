"""`scripts/collect-operations [--write] PATH…`: PATH is a checkout, an unpacked archive, a wheel or an sdist."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from graphql import build_schema

from .notes import coordinates_in, spans_in, with_notes
from .report import examine
from .sources import NotARelease, read_release

_SDL = Path(__file__).parents[2] / "src" / "backhaul" / "depot" / "graphql" / "schema.graphql"


def main() -> int:
    """Prints the report; 1 when a document does not validate, 2 when a path holds no release."""
    parser = argparse.ArgumentParser(prog="collect-operations", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--write", action="store_true", help="widen the notes in the SDL")
    arguments = parser.parse_args()
    try:
        releases = sorted(map(read_release, arguments.paths), key=lambda release: release.order)
    except NotARelease as error:
        print(error, file=sys.stderr)
        return 2
    sdl = _SDL.read_text("utf-8")
    findings = examine(build_schema(sdl), releases)
    if arguments.write:
        sdl = with_notes(sdl, findings.seen)
        _SDL.write_text(sdl, "utf-8")
    print("releases:", *(release.version for release in releases))
    print("\n".join(findings.lines()))
    noted = spans_in(sdl)
    print("\n".join(f"no note: {coordinate}" for coordinate in coordinates_in(sdl) if coordinate not in noted))
    return 1 if findings.invalid else 0


if __name__ == "__main__":
    sys.exit(main())
