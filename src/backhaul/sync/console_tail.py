"""The server's last console lines, found again among a fragment's own: they tell where its console begins there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

from backhaul.sync.verify import is_same_time
from backhaul.wire.remote import ConsoleTail

# Programs write the same line again and again within one moment: that many lines are told apart by those before them.
LINES_ASKED = 100


def begin_of(own: Iterator[str], tail: ConsoleTail, least: int) -> int | None:
    """The number of the server's line that is line 0 of `own`, which are plain lines as they are sent.

    None when that cannot be told: the server's last line is none of these or could be several; they would begin before
    line `least`; or its number is not that of the last line, as where counts are shown late.
    """
    theirs = [(_unix(line.time), line.text) for line in tail.lines]
    if not theirs or tail.lines[-1].number != tail.total - 1:
        return None
    found = list(islice(_ends(theirs, own), 2))
    begin = tail.total - 1 - found[0] if len(found) == 1 else -1
    return begin if begin >= least else None


def _ends(theirs: Sequence[tuple[float | None, str]], own: Iterator[str]) -> Iterator[int]:
    """The numbers of those own lines up to which both are the same, as far back as both reach."""
    latest: deque[str] = deque(maxlen=len(theirs))
    last = theirs[-1][1]
    for number, line in enumerate(own):
        latest.append(line)
        if line.endswith(last) and all(map(_is_same, reversed(latest), reversed(theirs))):
            yield number


def _is_same(line: str, theirs: tuple[float | None, str]) -> bool:
    moment, _, text = line.removeprefix("ERROR ").partition(" ")
    ours, other = _unix(moment), theirs[0]
    return text == theirs[1] and ours is not None and other is not None and is_same_time(ours, other)


def _unix(text: str) -> float | None:
    """A moment in ISO 8601, UTC unless it says otherwise, as Unix seconds; None for what is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
