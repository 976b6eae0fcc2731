"""Bundles unpacked for as long as a command looks at them, in the user's state folder.

What an interrupted sync has left is used by the next one. The ledgers lie elsewhere in the state folder (`Ledger`), so
they stay, and a later bundle of the same run goes on by them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from backhaul.bundle.opening import bundles_among, open_bundle
from backhaul.bundle.progress import OnProgress, tell_nobody
from backhaul.bundle.seal import check_signer
from backhaul.bundle.unpacking import unpack
from backhaul.bundle.visit import Visit, Visited
from backhaul.errors import RunBusy, UsageError
from backhaul.sync.state_folder import unpacked_folder


@contextmanager
def visiting(
    paths: Sequence[Path],
    state_folder: Path,
    *,
    signed_by: str | None = None,
    on_progress: OnProgress = tell_nobody,
) -> Iterator[Visit]:
    """Open what of `paths` is a bundle; other paths pass through. Afterwards nothing of it is left, unless `keep`.

    Raises what `open_bundle` and `unpack` raise, RunBusy while another command has the bundle open, UnknownSigner when
    it is not `signed_by` the key that was asked for.
    """
    bundles, others = bundles_among(paths)
    if not bundles:
        if signed_by is not None:
            raise UsageError("--signed-by is for bundles, and none is named.")
        yield Visit(tuple(paths))
        return
    with ExitStack() as stack:
        visit = Visit(())
        for path in bundles:
            opened = open_bundle(path)
            check_signer(opened.signer, signed_by)
            folder = unpacked_folder(state_folder) / opened.manifest.bundle
            stack.enter_context(_held(folder, opened.path))
            stack.callback(_take_away, visit, folder)
            visit.bundles.append(Visited(opened, folder, unpack(opened, folder, on_progress=on_progress)))
        visit.paths = (*others, *(log for visited in visit.bundles for log in visited.logs))
        if not visit.paths:
            raise visit.error or UsageError(f"There is no run in {bundles[0]}.")
        yield visit


def _take_away(visit: Visit, folder: Path) -> None:
    if not visit.keep:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _held(folder: Path, bundle: Path) -> Iterator[None]:
    """Keep other commands from unpacking to, or taking away, the same folder. Raises RunBusy."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Of nobody else's business, whatever the umask says.
    folder.parent.chmod(0o700)
    lock = folder.with_name(f"{folder.name}.lock")
    try:
        descriptor = _locked(lock)
    except BlockingIOError:
        raise RunBusy(f"Another command has {bundle} open.") from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(lock: Path) -> int:
    """The file, opened and locked. Raises BlockingIOError."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who had it may have taken it away after we opened it, and a third one may have made it anew.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), lock.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
