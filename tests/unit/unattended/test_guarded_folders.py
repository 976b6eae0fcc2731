"""What the disk guard measures: file systems, and what a user may have of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backhaul.runs.mounts import MountTable
from backhaul.unattended.disk_guard import Action, Thresholds
from backhaul.unattended.guarded_folders import GuardedFolders

from .conftest import Time

# As `quota -u -g -w -p -v --hide-device --show-mntpoint` prints it.
_QUOTA = """#!/bin/sh
echo x >> {asked}
echo "Disk quotas for user ada (uid 1000): "
echo "     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace"
echo "{mount}  {space}  0 1000000  0    {files}       0   1000       0"
"""
# Nothing but a quota can be so full.
_LIMITS = Thresholds(warn=0.991, act=0.995, soon=0.0)


class Account:
    """A user's account on the file system of `folder`, as a tool in the path tells of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._tools = folder / "runs", folder / "tools"
        self._tools.mkdir()

    def uses(self, *, space: int = 0, files: int = 0) -> None:
        """So many of 1,000,000 KiB, and of 1,000 files."""
        mount = MountTable.of_this_host().holding(self.folder).point
        tool = self._tools / "quota"
        tool.write_text(_QUOTA.format(asked=self._tools / "asked", mount=mount, space=space, files=files))
        tool.chmod(0o755)

    @property
    def asked(self) -> int:
        """How often the tool was called."""
        return (self._tools / "asked").read_text().count("x")

    def guarded(self, time: Time) -> GuardedFolders:
        path = f"{self._tools}{os.pathsep}{os.environ['PATH']}"
        return GuardedFolders([self.folder], _LIMITS, {"PATH": path}, time)


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


def test_a_quota_that_is_nearly_used_up_is_a_disk_that_is_nearly_full(account: Account, time: Time) -> None:
    """However much room the file system has for others."""
    account.uses(space=999_000)
    (filling,) = account.guarded(time).look()
    assert filling.actions == (Action.WARN, Action.SYNC)
    assert str(filling) == f"your quota of space at {account.folder} is used to 100%; 1 MiB are left"
    assert (filling.reading.used, filling.reading.free) == (0.999, 1_024_000)


def test_a_quota_of_files_counts_as_much(account: Account, time: Time) -> None:
    """A user who may have no more files can record nothing, however many bytes are free."""
    account.uses(files=999)
    (filling,) = account.guarded(time).look()
    assert str(filling).startswith(f"your quota of files at {account.folder} is used to 100%; 1 are left")


def test_quotas_are_asked_for_once_a_minute(account: Account, time: Time) -> None:
    """Whoever serves the files may have to be asked, and the disk is looked at every few seconds."""
    account.uses(space=10)
    guarded = account.guarded(time)
    for _ in range(12):
        assert guarded.look() == []
        time.passes(10)
    assert account.asked == 2
    account.uses(space=999_000)
    assert guarded.look() != []


def test_without_a_tool_the_file_system_alone_counts(tmp_path: Path, time: Time) -> None:
    """Most machines have no quotas."""
    assert GuardedFolders([tmp_path], _LIMITS, {"PATH": ""}, time).look() == []
