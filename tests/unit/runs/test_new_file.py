"""A file that appears whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from backhaul.errors import DiskFull, UsageError
from backhaul.runs.new_file import new_file


def test_the_file_is_there_when_the_block_has_ended_and_not_before(tmp_path: Path) -> None:
    """Nobody reads half of it under its name."""
    target = tmp_path / "x"
    with new_file(target) as file:
        file.write(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Whatever it raises comes through."""
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "x"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_somebody_makes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """Not only the look at the beginning counts."""
    target = tmp_path / "x"
    making = new_file(target)
    making.__enter__().write(b"ours")
    target.write_bytes(b"theirs")
    with pytest.raises(UsageError, match="exists already"):
        making.__exit__(None, None, None)
    assert target.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_told_as_one(tmp_path: Path) -> None:
    """It is a matter of time and room, not of usage."""
    with pytest.raises(DiskFull), new_file(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_dangling_link_is_in_the_way_as_well(tmp_path: Path) -> None:
    """Its target would be made, somewhere else."""
    target = tmp_path / "x"
    target.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError), new_file(target):
        pass
    assert not (tmp_path / "elsewhere").exists()
