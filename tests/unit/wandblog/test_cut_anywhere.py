"""A real log cut at every byte: always the exact prefix of its records, and the right name for how it ends."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul.wandblog import Damage, DamageKind, LogEnd, LogReader
from backhaul.wandblog.framing import Framing

_HEADER = 7
_EVERY = 23
_FROM_THE_START = 29


def _ends(log: bytes) -> tuple[list[tuple[int, bytes]], list[int]]:
    """The records of the whole log, and for each the byte behind it (without zero fill)."""
    framing = Framing(io.BytesIO(log))
    records: list[tuple[int, bytes]] = []
    ends: list[int] = []
    for batch in framing.batches():
        records += batch
        ends += [batch.end_of(offset, data) for offset, data in batch]
    assert framing.damage == []
    return records, ends


@pytest.mark.parametrize(("name", "grid"), [("0.17.5-core", 7), ("0.31.0-long", 0)])
def test_every_cut_gives_the_exact_prefix(name: str, grid: int, recorded: Callable[[str], Path]) -> None:
    """No record of a cut log is wrong or missing, and what is behind the last one is told as torn, to the byte.

    Every cut is read, most of them from a few records before it (all that lies before is the same as one byte ago),
    every 29th from the file's beginning.
    """
    log = recorded(name).read_bytes()
    records, ends = _ends(log)
    assert len(log) > 50_000
    for cut in range(_HEADER, len(log)):
        whole = bisect_right(ends, cut)
        skipped = max(0, whole - 10) if cut % _FROM_THE_START else 0
        framing = Framing(io.BytesIO(log[:cut]), start=records[skipped][0], base=grid if skipped else None)
        found = [record for batch in framing.batches() for record in batch]
        assert found == records[skipped:whole], cut
        end = ends[whole - 1] if whole else _HEADER
        fill = -(end - grid) % 32768
        if fill < _HEADER and not any(log[end : min(cut, end + fill)]) and fill:
            end = min(cut, end + fill)
        expected = [Damage(end, cut - end, DamageKind.TORN)] if cut > end else []
        assert framing.damage == expected, cut


def test_cuts_of_the_file_itself_have_the_right_end(recorded: Callable[[str], Path], tmp_path: Path) -> None:
    """The same through the reader, on a file that loses its last bytes step by step: as `LogEnd` says."""
    log = recorded("0.31.0-long").read_bytes()
    records, ends = _ends(log)
    path = tmp_path / "run-cut.wandb"
    path.write_bytes(log)
    for cut in sorted({*range(0, len(log), _EVERY), *ends, len(log)}, reverse=True):
        os.truncate(path, cut)
        reader = LogReader(path)
        found = [(record.offset, record.data) for record in reader]
        whole = bisect_right(ends, cut)
        assert found == records[:whole], cut
        assert (reader.end, reader.size, reader.losses) == (_expected_end(cut, whole, records, ends), cut, []), cut
        assert (reader.tear is None) == (whole == len(records)), cut


def _expected_end(cut: int, whole: int, records: list[tuple[int, bytes]], ends: list[int]) -> LogEnd:
    if cut < _HEADER:
        return LogEnd.EMPTY
    if cut == _HEADER:
        return LogEnd.HEADER_ONLY
    if whole == len(records):
        return LogEnd.COMPLETE
    return LogEnd.NO_EXIT if whole and ends[whole - 1] == cut else LogEnd.TORN
