"""Where the parts of a run begin: each where the one before it ends, a copy where its original does."""

from __future__ import annotations

from pathlib import Path

from backhaul.runs.directory import RunDirectory
from backhaul.runs.identity import RunIdentity
from backhaul.runs.inspect import Inspection
from backhaul.runs.rows import Stream
from backhaul.sync.destination import Destination
from backhaul.sync.fragments import fragments_by_run
from backhaul.sync.progress import no_lines
from backhaul.wandblog import LogEnd


def _part(name: str, began: int | None, size: int = 10) -> Inspection:
    directory = RunDirectory(Path(name), Path(name, "run-abc.wandb"))
    return Inspection(directory, RunIdentity("abc", start_seconds=began), LogEnd.COMPLETE, size)


def _end(rows: int) -> dict[Stream, int]:
    return no_lines() | {Stream.HISTORY: rows}


def test_a_copy_begins_where_its_original_does_and_the_next_part_behind_the_longest() -> None:
    """Order of recording; of copies the longest first."""
    early, early_cut, late = _part("early", 1), _part("early-cut", 1, size=5), _part("late", 2)
    (chain,) = fragments_by_run([late, early_cut, early], Destination("http://there"))
    assert chain.fragments == [early, early_cut, late]
    assert (chain.begin_of(0), chain.after(0)) == (None, [late])
    chain.ended(_end(7))
    assert (chain.begin_of(1), chain.after(1)) == (None, [late])
    chain.ended(_end(3))
    assert (chain.begin_of(2), chain.after(2)) == (_end(7), [])


def test_parts_of_which_nobody_knows_when_they_began_are_no_copies() -> None:
    """A log that lost its run record: two of them follow one another."""
    (chain,) = fragments_by_run([_part("one", None), _part("two", None)], Destination("http://there"))
    chain.begin_of(0)
    chain.ended(_end(4))
    assert chain.begin_of(1) == _end(4)
