"""Makes stretches of the lines that came in, and facets of the runs, at leisure: intake goes first.

A row costs some 0.5 µs for each of its keys. While lines keep coming in, the digester takes at most a quarter of one
core. What it has not reached is answered from the lines themselves: slower, but the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from itertools import chain

from backhaul.depot import columns, stretches
from backhaul.depot.model import EVENTS, HISTORY, BatchRef
from backhaul.depot.refusal import Refused
from backhaul.depot.store import Store
from backhaul.depot.store.lines import JOIN_BELOW

_LOG = logging.getLogger("backhaul.depot")

ENOUGH_ROWS = 2048
_ENOUGH_TEXT = 8 << 20  # bytes: rows with thousands of keys are fewer in a stretch
_QUIET = 1.0  # seconds without new lines after which the digester need not hold back
_SHARE = 3  # times as long as it worked does it rest when lines come in


class Digester:
    """A thread that digests the runs it is told of. Safe to use from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[int, None] = {}  # an ordered set: each run is digested once, however often it is noted
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._noted_at = -_QUIET
        self._thread = threading.Thread(target=self._work, name="depot-digester")
        self._thread.start()

    def note(self, run_id: int) -> None:
        """A run has new lines."""
        with self._changed:
            self._waiting[run_id] = None
            self._noted_at = time.monotonic()
            self._changed.notify()

    def close(self) -> None:
        """Ends the work; what is left is digested another time."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        self._do(self._filing())  # a store that an older depot filled has all its runs unfiled
        while (run_id := self._next()) is not None:
            self._do(chain(digest(self._store, run_id), self._filing()))

    def _do(self, pieces: Iterator[float]) -> None:
        """Works piece by piece, each of which says how long it took; ends early when the digester closes."""
        try:
            for seconds in pieces:
                busy = time.monotonic() - self._noted_at < _QUIET
                if self._closing.wait(_SHARE * seconds if busy else 0):
                    return
        except Refused as error:
            _LOG.warning("what came in could not be digested: %s", error)
        except Exception:  # noqa: BLE001 - a bug of ours, which is told; other runs are digested all the same
            _LOG.exception("failed", extra={"facts": {"thread": "depot-digester"}})

    def _filing(self) -> Iterator[float]:
        """Files the facets of the runs that changed, some at a time."""
        more = True
        while more:
            start = time.perf_counter()
            more = self._store.refresh_facets()
            yield time.perf_counter() - start

    def _next(self) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
            if self._closing.is_set():
                return None
            run_id = next(iter(self._waiting))
            del self._waiting[run_id]
            return run_id


def digest(store: Store, run_id: int) -> Iterator[float]:
    """Makes the stretches that a run lacks; after each, the seconds that it took. Raises what the store raises."""
    for stream in (HISTORY, EVENTS):
        for refs in _ready(stretches.parts(store.stretches(run_id, stream), store.batches(run_id, stream))):
            start = time.perf_counter()
            lines = [store.batch_lines(ref.id) for ref in refs]
            read = [(ref, columns.read(content)) for ref, content in zip(refs, lines, strict=True) if content]
            if len(read) < len(refs) or not store.put_stretch(run_id, stream, stretches.draft(read)):
                return  # lines were replaced meanwhile; what replaced them notes the run again
            yield time.perf_counter() - start


def _ready(parts: list[stretches.Part]) -> Iterator[list[BatchRef]]:
    """Neighbouring batches that are enough for a stretch. The last one of the stream may still grow."""
    for part in parts:
        if part.stretch:
            continue
        group: list[BatchRef] = []
        for ref in part.refs:
            if ref is parts[-1].refs[-1] and ref.size < JOIN_BELOW:
                break
            group.append(ref)
            if sum(each.count for each in group) >= ENOUGH_ROWS or sum(each.size for each in group) >= _ENOUGH_TEXT:
                yield group
                group = []
