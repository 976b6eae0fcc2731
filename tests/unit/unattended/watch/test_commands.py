"""wandb-osh's command files, written by its own hook: no wish is lost where wandb-osh loses it."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import pytest

from backhaul.errors import QueueUnavailable
from backhaul.runs.directory import RunDirectory
from backhaul.sync.destination import Destination
from backhaul.sync.progress import LogStamp
from backhaul.unattended.judgement import Judge
from backhaul.unattended.queue.decision import Decision
from backhaul.unattended.queue.entry import Item, QueueState
from backhaul.unattended.queue.sql_queue import SqlQueue
from backhaul.unattended.queue.sqlite import SqliteDatabase
from backhaul.unattended.watch.commands import Commands
from backhaul.unattended.watch.noticer import Noticer

from ....command import copy_of
from ..conftest import Time

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from wandb_osh.hooks import TriggerWandbSyncHook


class Osh:
    """A folder of commands, the real hook that writes there, and a watcher's look at it."""

    def __init__(self, folder: Path, time: Time) -> None:
        self.run = copy_of("0.18.7", folder / "elsewhere")
        self.hook = TriggerWandbSyncHook(folder / "commands")
        self.commands = Commands(folder / "commands", clock=time)
        self.queue = SqlQueue(SqliteDatabase(folder / "queue.db", time))
        judge = Judge(Destination("http://there"), folder / "state", clock=time)
        self._noticer = Noticer(self.queue, [folder / "watched"], lambda _: judge, judge.host, self.commands)

    def trigger(self) -> None:
        """The hook, as a training script calls it at the end of an epoch."""
        self.hook(self.run)

    def look(self) -> int:
        """One look; how many commands were taken."""
        noticed = self._noticer.notice()
        assert noticed.errors == []
        return noticed.asked

    def take(self) -> list[Item]:
        return list(self.queue.take("one", self._noticer.host, limit=9, lease=60))

    @property
    def files(self) -> list[str]:
        return sorted(path.name.partition(".")[2] for path in self.commands.folder.iterdir())


@pytest.fixture
def osh(folder: Path, time: Time) -> Osh:
    return Osh(folder, time)


def test_a_command_becomes_a_wish_of_the_queue(osh: Osh) -> None:
    """Also for a run that lies under no watched folder; the file is gone then."""
    osh.trigger()
    assert osh.look() == 1
    assert (osh.files, len(osh.take())) == ([], 1)


def test_a_try_that_failed_is_tried_again(osh: Osh, time: Time) -> None:
    """wandb-osh writes the command anew after a timeout, under the same name, and then deletes it with the old one."""
    osh.trigger()
    osh.look()
    (item,) = osh.take()
    osh.queue.settle(item, Decision(QueueState.BLOCKED, time() + 15, 1))
    osh.look()
    assert osh.take() == []
    time.passes(15)
    assert len(osh.take()) == 1


def test_a_trigger_during_a_try_is_another_wish(osh: Osh) -> None:
    """wandb-osh deletes it with those that it has followed: mostly that of the last epoch."""
    osh.trigger()
    osh.look()
    (item,) = osh.take()
    osh.trigger()
    osh.look()
    osh.queue.settle(item, Decision(QueueState.VERIFIED, stamp=LogStamp(1, 1)))
    assert len(osh.take()) == 1


def test_a_trigger_between_reading_and_deleting_is_another_wish(osh: Osh) -> None:
    """Its file is another one by then."""
    osh.trigger()

    def ask(_: Iterable[RunDirectory]) -> None:
        osh.trigger()

    assert osh.commands.take(ask) == (1, [])
    assert osh.files == ["command"]
    assert osh.look() == 1


def test_a_run_that_is_home_and_asked_for_again_is_tried_again(osh: Osh) -> None:
    """wandb-osh skips what wandb has marked as synced."""
    osh.trigger()
    osh.look()
    (item,) = osh.take()
    osh.queue.settle(item, Decision(QueueState.VERIFIED, stamp=item.entry.stamp))
    osh.trigger()
    osh.look()
    assert len(osh.take()) == 1


def test_a_command_that_the_queue_could_not_take_is_still_there(osh: Osh) -> None:
    """It is deleted only when the wish is durable."""
    osh.trigger()

    def refuse(_: Iterable[RunDirectory]) -> None:
        raise QueueUnavailable("away")

    with pytest.raises(QueueUnavailable):
        osh.commands.take(refuse)
    assert osh.files == ["command.taken"]
    assert osh.look() == 1


def test_a_command_that_is_not_written_yet_is_waited_for(osh: Osh, time: Time) -> None:
    """The hook makes the file first and writes then."""
    command = osh.commands.folder / "123abc.command"
    command.touch()
    os.utime(command, (time(), time()))
    assert (osh.look(), osh.files) == (0, ["command.taken"])
    (osh.commands.folder / "123abc.command.taken").write_text(str(osh.run))
    assert (osh.look(), osh.files) == (1, [])


def test_a_command_for_nothing_is_told_and_kept(osh: Osh, time: Time) -> None:
    """What it names may not be visible yet on this host; after ten minutes somebody has to look."""
    command = osh.commands.folder / "123abc.command"
    command.write_text("/not/there/yet")
    os.utime(command, (time(), time()))
    assert (osh.look(), osh.files) == (0, ["command.taken"])
    time.passes(601)
    done, errors = osh.commands.take(lambda _: None)
    assert (done, [error.code for error in errors]) == (0, ["no-runs"])
    assert osh.files == ["command.failed"]
    assert osh.look() == 0


def test_a_command_that_another_watcher_has_taken_meanwhile_is_no_error(osh: Osh) -> None:
    """Several hosts may look into one folder; the second one to rename a file finds it gone."""
    osh.trigger()

    def ask(_: Iterable[RunDirectory]) -> None:
        raise AssertionError("the other watcher asks")

    class SlowFolder(type(osh.commands.folder)):  # type: ignore[misc]
        """The other watcher is at work between the listing and the renaming."""

        def iterdir(self) -> Iterable[Path]:
            found = list(super().iterdir())
            for path in found:
                path.unlink()
            return found

    commands = Commands(SlowFolder(osh.commands.folder))
    assert commands.take(ask) == (0, [])


def test_a_command_that_may_not_be_taken_is_told_and_costs_the_others_nothing(
    osh: Osh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder may belong to somebody else."""
    osh.trigger()
    (closed := osh.commands.folder / "000.command").write_text(str(osh.run))
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    done, errors = osh.commands.take(lambda _: None)
    assert (done, [error.code for error in errors]) == (1, ["unreadable-file"])
    assert closed.exists()


def test_without_the_folder_there_are_no_commands(tmp_path: Path) -> None:
    """Nobody has used wandb-osh here."""
    assert Commands(tmp_path / "none").take(lambda _: None) == (0, [])
