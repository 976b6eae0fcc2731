"""Names for runs whose owner gave none: adjective-noun-number."""

from __future__ import annotations

import zlib

_ADJECTIVES = tuple(
    """
    amber autumn bright brisk calm clear cobalt coral crisp dawn deep early fresh gentle golden happy ivory keen light
    lively lucky mellow misty morning noble pale patient polar proud quick quiet rapid rosy royal silent silver smooth
    snowy solar spring steady still summer swift tidal vivid warm wild winter young
    """.split()  # noqa: SIM905 - a list of quoted words is harder to read
)
_NOUNS = tuple(
    """
    anchor bay beacon brook canyon cargo cedar cloud comet cove dune echo ember falcon fern field fjord forest glacier
    harbour haven heron hill island lagoon lantern leaf meadow moon mountain oak ocean orchard pebble pine planet quay
    rain reef ridge river shore sky star stone sun tide valley voyage wave
    """.split()  # noqa: SIM905
)


def invent(run_id: str, number: int) -> str:
    """A name for the `number`-th run of a project; the same run id always gets the same words."""
    seed = zlib.crc32(run_id.encode("utf-8", "replace"))
    adjective = _ADJECTIVES[seed % len(_ADJECTIVES)]
    noun = _NOUNS[(seed >> 8) % len(_NOUNS)]
    return f"{adjective}-{noun}-{number}"
