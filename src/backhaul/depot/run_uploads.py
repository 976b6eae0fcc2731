"""Files of runs that go straight to the store of the blobs: media, which is what makes runs large.

No client says before what it is about to bring, neither size nor MD5. So the address of such a file fits anything: it
is that of a mailbox, an object to which may be written again and again, one for each file of a run. Nobody tells the
depot when. It looks at the moments when that counts, and copies what it finds; the copy, which the store makes itself,
is a blob that no address leads to and that never changes. It takes the place of the one before.

Whichever address was given first, what was written last is what lies in the mailbox, and so what counts. Of each file a
row says what was found last (`AwaitedFiles`): to whoever looks at the same time, or after a crash in the middle, it
tells what is new.

A mailbox is emptied a day after its last address expired. Until then its bytes lie there twice.

What passes through the depot still: what S3 takes at no such address, and a client that is refused gives up without a
word (more than 5 GiB), may be among saved files; and what the SDK itself writes is too small for the trouble.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from backhaul.depot.addresses import LIFETIME
from backhaul.depot.alone import Alone
from backhaul.depot.model import Awaited, Brought
from backhaul.depot.store import Blobs, Keeping
from backhaul.depot.store.intake import begun, named
from backhaul.depot.store.interface import BROUGHT_AFTER, Mailboxes
from backhaul.depot.threads import ended

_FOLDER = "incoming/"  # no blob's name begins so
_STRAIGHT = "media/"
_SLOWEST = 24 * 3600.0  # seconds that a PUT may take which was begun when its address expired
_AT_ONCE = 16  # copies
_ROUNDS = 5  # looks at what changes while it is looked at
_IDS_AT_ONCE = 1000


class RunUploads:
    """Makes addresses (unless `hands_out` is False), and files of runs of what came. Safe to use from any thread."""

    def __init__(
        self, store: Keeping, blobs: Blobs, mailboxes: Mailboxes, hands_out: bool, clock: Callable[[], float]
    ) -> None:
        self._awaited = store.awaited
        self._blobs = blobs
        self._mailboxes = mailboxes
        self._hands_out = hands_out
        self._clock = clock
        self._alone = Alone("a file that came for the run is still being copied; ask again")

    def addresses(self, run_id: int, names: list[str]) -> dict[str, str]:
        """Where the files may be PUT, by name; those that are not told of have to pass through the depot."""
        straight = [name for name in names if name.startswith(_STRAIGHT)] if self._hands_out else []
        if not straight:
            return {}
        places = self._awaited.expect(run_id, straight, self._clock() + LIFETIME)
        return {name: self._mailboxes.address(_mailbox(file)) for name, file in places.items()}

    def look(self, run_id: int, names: Collection[str] | None = None) -> None:
        """Makes files of what came for a run: of what is there and new, among `names` if they are given.

        Refused with 503 when the store cannot be asked, or when others are taking long to copy one of these files.
        """
        for _ in range(_ROUNDS):
            if self._look(run_id, names):
                return

    def _look(self, run_id: int, names: Collection[str] | None) -> bool:
        """Whether what was found is kept now; else it was replaced meanwhile, or somebody else was first."""
        files = {_mailbox(file): file for file in self._awaited.still(run_id, names)}
        if not files:
            return True
        found = self._mailboxes.found(_folder(run_id), list(files))
        new = [brought for brought in found if brought.mark != files[brought.name].seen]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return all(list(threads.map(lambda brought: self._take(files[brought.name], brought), new)))

    def _take(self, file: Awaited, brought: Brought) -> bool:
        with self._alone.on(file.id):
            # Two would copy the same: whoever comes second knows it from before the first one's copy.
            return file in self._awaited.still(file.run_id, {file.name}) and self._copy(file, brought)

    def _copy(self, file: Awaited, brought: Brought) -> bool:
        blob = self._mailboxes.copied(brought)
        if blob is None:
            return False
        naming = begun(blob, lambda copy: ended(self._awaited.take(file, brought.mark, copy)))
        return named(blob, naming, self._blobs.destroy, self._blobs.remove) != blob.name

    def sweep(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Looks at all that may have come, ends what cannot come any more, and removes what belongs to nothing.

        It ends early when the depot is `stopped`: what is left is done another time.
        """
        for run_id in self._awaited.runs():
            if stopped():
                return
            self.look(run_id)
        before = self._clock() - _SLOWEST
        while not stopped() and (over := self._awaited.over(before)) and self._end(over, before):
            pass
        left = self._mailboxes.older(_FOLDER, BROUGHT_AFTER)
        while not stopped() and (names := list(islice(left, _IDS_AT_ONCE))):
            known = self._awaited.known({_id_of(name) for name in names})
            self._empty(name for name in names if _id_of(name) not in known)

    def _end(self, over: list[Awaited], before: float) -> bool:
        """Looks once more, then forgets the files, then empties their mailboxes: a new address is that of another one.

        Whether there was something to forget.
        """
        names: dict[int, set[str]] = {}
        for file in over:
            names.setdefault(file.run_id, set()).add(file.name)
        forgotten = 0
        for run_id, some in names.items():
            self.look(run_id, some)
            gone = self._awaited.forget(self._awaited.still(run_id, some), before)
            self._empty(map(_mailbox, gone))
            forgotten += len(gone)
        return forgotten > 0

    def _empty(self, mailboxes: Iterable[str]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(self._mailboxes.empty, mailboxes))


def _folder(run_id: int) -> str:
    """Where a run's mailboxes are; the digit spreads them."""
    return f"{_FOLDER}{run_id % 16:x}/{run_id}/"


def _mailbox(file: Awaited) -> str:
    """In the order of their names, as stores list them, those that were asked for last are the last."""
    return f"{_folder(file.run_id)}{file.id:015}"


def _id_of(mailbox: str) -> int:
    return int(mailbox.rpartition("/")[2])
