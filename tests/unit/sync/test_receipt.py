"""The receipt on a disk that fails: it is there whole, or told and not there at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backhaul.errors import DiskFull, LedgerUnwritable, TemporaryError
from backhaul.sync.progress import no_lines
from backhaul.sync.receipt import Receipt, logs_with_receipts, write_receipt
from backhaul.sync.signature import signer_of
from backhaul.sync.verify import Expected, Remote

_EXPECTED = Expected(no_lines(), None, None, "{}", {}, {}, finished=True)
_REMOTE = Remote(no_lines(), [], "{}", "{}", {}, {}, "finished")
_DOORS = [(os, "fsync"), (os, "open"), (os, "fchmod"), (Path, "open"), (Path, "replace"), (Path, "mkdir")]


def _receipt(folder: Path) -> Receipt:
    return Receipt("http://there", "e", "p", "abc", folder / "run-abc.wandb", 7, "00" * 32, "now", _EXPECTED, _REMOTE)


def _fail_at(number: int, code: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the call of that number through any of the doors fail; the calls so far."""
    calls: list[str] = []

    def counted(real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            calls.append(name)
            if len(calls) == number:
                raise OSError(code, os.strerror(code))
            return real(*arguments, **more)

        return call

    for owner, name in _DOORS:
        monkeypatch.setattr(owner, name, counted(getattr(owner, name), name))
    return calls


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE])
def test_whatever_call_fails_it_is_told_and_the_next_try_succeeds(tmp_path: Path, code: int) -> None:
    """Each call in turn: told as something that passes; no half of a receipt, no left-over."""
    number = 0
    while True:
        number += 1
        state = tmp_path / str(number)
        with pytest.MonkeyPatch.context() as patch:
            calls = _fail_at(number, code, patch)
            with contextlib.suppress(TemporaryError):
                write_receipt(_receipt(tmp_path), state)
            if len(calls) < number:
                break
        for path in state.rglob("*.json"):
            assert signer_of(json.loads(path.read_text())) is not None, f"half a receipt after {calls}"
        written = write_receipt(_receipt(tmp_path), state)
        assert signer_of(json.loads(written.read_text())) is not None
        assert not list(state.rglob("*.part")), f"a left-over after {calls}"
    assert number > 8


def test_a_key_that_is_none_is_told(tmp_path: Path) -> None:
    """A file that was cut by a full disk of old: what to do with it, and no bug of ours."""
    (tmp_path / "receipt-key").write_text("zz")
    with pytest.raises(LedgerUnwritable, match="holds no key") as told:
        write_receipt(_receipt(tmp_path), tmp_path)
    assert told.value.next.startswith("Move that file away")


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EROFS, LedgerUnwritable)]
)
def test_only_a_full_disk_is_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[TemporaryError]
) -> None:
    """Whoever cannot write to the folder for another reason need not make room on it."""
    _fail_at(1, code, monkeypatch)
    with pytest.raises(TemporaryError) as told:
        write_receipt(_receipt(tmp_path), tmp_path / "state")
    assert type(told.value) is kind


def test_the_receipts_of_a_run_are_found_among_those_of_others(tmp_path: Path) -> None:
    """From whatever server and entity; a run id that another one begins with, or in another case, is another run."""
    names = ["a-0123456789ab.json", "a-0123456789ac-carried.json", "a-b-0123456789ab.json", "a-b-c-0123456789ab.json",
             "A-0123456789ab.json", "ab-0123456789ab.json", "a-0123456789ab.json.tmp", "a-.json", "a"]  # fmt: skip
    for place in ("one.example.org/ada", "two.example.org/bob"):
        folder = tmp_path / "receipts" / place / "p"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(json.dumps({"log": {"path": f"{place}/{name}"}}))

    def found(*run_ids: str) -> list[str]:
        return [str(log).rpartition("/")[2] for log in logs_with_receipts("p", run_ids, tmp_path)]

    assert found("a") == names[:2] * 2
    assert found("a-b") == names[2:3] * 2
    assert found("a-b", "ab", "nobody") == [names[2], names[5]] * 2
    assert found("nobody", "") == []
