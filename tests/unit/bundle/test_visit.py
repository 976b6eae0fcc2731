"""A bundle as if it were a folder: unpacked while a command looks at it, and nobody else's business."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from backhaul.bundle.manifest import MANIFEST_SIZE
from backhaul.bundle.visiting import visiting
from backhaul.errors import BundleDamaged, RunBusy, UnknownSigner, UsageError
from backhaul.sync.ledger import Ledger, read_ledger

from .conftest import Here


def test_it_is_there_for_as_long_as_it_is_wanted(here: Here) -> None:
    """In a folder that only this user may look into; afterwards nothing is left, unless the next call needs it."""
    here.packed()
    with visiting([here.target], here.state) as visit:
        assert [path.suffix for path in visit.paths] == [".wandb", ".wandb"]
        folder = visit.bundles[0].folder
        assert folder.parent.stat().st_mode & 0o077 == 0
        visit.keep = True
    assert folder.is_dir()
    with visiting([here.target], here.state) as visit:
        assert (visit.bundles[0].unpacked.written, visit.bundles[0].folder) == ([], folder)
    assert list(folder.parent.iterdir()) == []


def test_it_is_taken_away_when_the_command_fails(here: Here) -> None:
    """Also then nothing is left over."""
    here.packed()
    with pytest.raises(KeyError), visiting([here.target], here.state):
        raise KeyError
    assert list((here.state / "bundles").iterdir()) == []


def test_two_commands_do_not_share_it(here: Here) -> None:
    """The one that ends first would take it away from the other."""
    here.packed()
    with visiting([here.target], here.state):
        with pytest.raises(RunBusy), visiting([here.target], here.state):
            pass
        assert any((here.state / "bundles").rglob("*.wandb"))
    with visiting([here.target], here.state):
        pass


def test_a_lock_that_was_taken_away_in_between_is_none(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder ends just after we opened it, and a third command begins: that one has the bundle, not we."""
    here.packed()
    flock, others = fcntl.flock, list[int]()

    def ending(descriptor: int, operation: int) -> None:
        if not others:
            lock = Path(f"/proc/self/fd/{descriptor}").readlink()
            lock.unlink()
            others.append(os.open(lock, os.O_RDWR | os.O_CREAT))
            flock(others[0], fcntl.LOCK_EX)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", ending)
    with pytest.raises(RunBusy), visiting([here.target], here.state):
        pass
    os.close(others[0])


def test_ledgers_outlive_it(here: Here) -> None:
    """What is known of its runs lies elsewhere, under a name made of their content."""
    here.packed()
    for _ in range(2):
        with visiting([here.target], here.state) as visit:
            log = visit.paths[0].resolve()
            with Ledger.open(log, here.state) as ledger:
                ledger.record("there", {"what": "alerts", "count": ledger.progress("there").alerts + 1})
            assert ledger.path.parent == here.state / "ledgers"
            assert read_ledger(log, here.state)["there"].alerts == ledger.progress("there").alerts
    assert ledger.progress("there").alerts == 2


def test_other_paths_pass_through(here: Here) -> None:
    """Without a bundle nothing is made; beside one they stay what they are."""
    with visiting([here.top / "work"], here.state) as visit:
        assert (visit.paths, visit.error, visit.exit_code(5)) == ((here.top / "work",), None, 5)
    assert not here.state.exists()
    here.packed()
    with visiting([here.top / "work", here.target], here.state) as visit:
        assert visit.paths[0] == here.top / "work"
    with pytest.raises(UsageError, match="signed-by"), visiting([here.top], here.state, signed_by="x"):
        pass


def test_another_signer_than_was_named_is_not_even_unpacked(here: Here) -> None:
    """The check comes before anything of it is written."""
    here.packed()
    with pytest.raises(UnknownSigner), visiting([here.target], here.state, signed_by="0" * 16):
        pass
    assert not (here.state / "bundles").exists()


def test_a_bundle_of_which_no_log_is_left_is_told(here: Here) -> None:
    """Then there is nothing to send, and the damage is the reason."""
    here.packed()
    content = bytearray(here.target.read_bytes())
    # Everything up to the manifest, which lies at the end.
    for at in range(100, len(content) - 60_000, 10_000):
        content[at] ^= 1
    content[:60_000] = bytes(60_000)
    here.target.write_bytes(content)
    with pytest.raises(BundleDamaged), visiting([here.target], here.state):
        pass
    assert list((here.state / "bundles").iterdir()) == []


def test_a_folder_of_a_bundle_is_told_only_where_things_were(here: Here) -> None:
    """Every run in it reads that note: it must not have a line for every file."""
    here.packed()
    with visiting([here.target], here.state) as visit:
        (note,) = visit.bundles[0].folder.glob("backhaul-bundle-*.json")
        assert note.stat().st_size < 2_000 < MANIFEST_SIZE
