"""Repairing one run: a new, valid log out of a damaged one. The original is only read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from backhaul.errors import NotAWandbLog, StillRecording
from backhaul.repair.added import exit_record, summary_record
from backhaul.repair.place import bring_files, default_folder, make_unfinished
from backhaul.repair.rebuild import Parts, rebuilt
from backhaul.repair.recovery import recover
from backhaul.repair.report import RepairReport
from backhaul.repair.survey import Survey, survey
from backhaul.runs.directory import RunDirectory
from backhaul.runs.new_file import already_there, new_file, sync_folder, unwritable
from backhaul.runs.open_files import is_open_for_writing
from backhaul.runs.reading import Condition
from backhaul.wandblog import Damage, DamageKind, LogEnd
from backhaul.wandblog.identify import is_blank
from backhaul.wandblog.writer import LogWriter

_BEHIND_THE_DAMAGE = "readable record behind the first damage (--mode tail)"


class Mode(StrEnum):
    """Which records are kept: every readable one, or those before the first damage (an unbroken beginning)."""

    SALVAGE = "salvage"
    TAIL = "tail"


def repair_run(
    run: RunDirectory,
    output: Path | None = None,
    *,
    mode: Mode = Mode.SALVAGE,
    add_exit: int | None = None,
    mend_metadata: bool = False,
) -> RepairReport:
    """Write a new, valid log of everything that can be read of `run`, and say what was lost.

    `output` is the new log; without it a run directory is made in the folder `repaired` beside the run's own. Record
    bytes are carried as they are; with `mend_metadata` tags and job types that servers refuse are cut, and `add_exit`
    adds the exit code that a killed run has not. A log without a single record is made anew from the run's files.

    Nothing is overwritten, and nothing is left behind by a failure. Raises UnreadableFile, NotAWandbLog,
    StillRecording, DiskFull, and UsageError when the place is taken or cannot be written.
    """
    if is_open_for_writing(run.log):
        raise StillRecording(
            f"{run.log} is still being written.", next="Run the same command again when the job has ended."
        )
    plan = _Plan(run, _surveyed(run.log), add_exit, [] if mend_metadata else None)
    if not plan.found.content:
        return plan.recovered(output)
    if mode is Mode.TAIL and plan.found.condition.losses:
        plan.stop_at(plan.found.condition.losses[0].offset)
    return plan.carried(output)


class _Plan:
    """The repair of one run, from what was found in its log to the report."""

    def __init__(self, run: RunDirectory, found: Survey, add_exit: int | None, mended: list[str] | None) -> None:
        self.found = found
        self.notes: list[str] = []
        self._run = run
        self._add_exit = add_exit
        self._mended = mended
        self._until: int | None = None

    def stop_at(self, offset: int) -> None:
        """Keep the records before `offset` only; the readable ones after it are told as left out."""
        whole, self.found = self.found, survey(self._run.log, offset)
        self._until = offset
        self.found.left_out[_BEHIND_THE_DAMAGE] = whole.kept - self.found.kept
        self.found.condition = whole.condition

    def carried(self, output: Path | None) -> RepairReport:
        """Write the records of the log."""
        found, run_id, stand_in, changes = self.found, self._run.run_id_hint, None, list[str]()
        if found.run is None:
            recovery = recover(self._run)
            stand_in = recovery.run_record
            changes.append(
                "the run record was lost: a new one has the id, the start time and the config found elsewhere"
            )
            self.notes += recovery.notes
        else:
            run_id = found.run.content.run_id
        summary = None
        if found.lacks_summary and self._until is None:
            summary = summary_record(found, self._run.log)
            changes.append("a summary was made of the history: the Python engine writes it last, and was killed before")
        parts = Parts(stand_in, summary, self._mended)
        records = rebuilt(self._run.log, found, parts, until=self._until)
        written = self._write(records, output, changes)
        return RepairReport(
            path=self._run.log,
            output=written,
            run_id=run_id,
            end=found.condition.end,
            kept=found.kept,
            lost=found.condition.lost,
            complete=not found.condition.losses,
            damage=found.condition.damage,
            left_out=dict(found.left_out),
            changes=(*changes, *dict.fromkeys(self._mended or ())),
            notes=(*found.condition.notes, *self.notes),
        )

    def recovered(self, output: Path | None) -> RepairReport:
        """Write what the run's other files still tell."""
        recovery, changes = recover(self._run), list[str]()
        written = self._write(_counted(recovery.records(), self.found), output, changes)
        return RepairReport(
            path=self._run.log,
            output=written,
            run_id=self._run.run_id_hint,
            end=self.found.condition.end,
            kept=self.found.kept,
            lost=None,
            complete=False,
            damage=self.found.condition.damage,
            changes=changes,
            recovered=recovery.found,
            missing=recovery.missing,
            notes=(*self.found.condition.notes, *recovery.notes, *self.notes),
        )

    def _write(self, records: Iterable[bytes], output: Path | None, changes: list[str]) -> Path:
        with _place(self._run, output) as (log, final), new_file(log) as file:
            writer = LogWriter(file)
            for record in records:
                writer.write(record)
            if (exit_bytes := self._exit(changes)) is not None:
                writer.write(exit_bytes)
        return final

    def _exit(self, changes: list[str]) -> bytes | None:
        if self._add_exit is None:
            return None
        if self.found.exit is not None:
            code = self.found.exit.content.exit_code
            self.notes.append(f"the log has an exit record with code {code}; none was added")
            return None
        changes.append(f"an exit record with code {self._add_exit} was added")
        return exit_record(self.found, self._add_exit)


def _surveyed(log: Path) -> Survey:
    """What the log holds; one of nothing but zeros is no log for a reader, and an empty one here."""
    try:
        return survey(log)
    except NotAWandbLog:
        if not is_blank(log):
            raise
    damage = (Damage(0, log.stat().st_size, DamageKind.ZEROED),)
    return Survey(condition=Condition(LogEnd.EMPTY, damage, damage, None, ()))


def _counted(records: Iterable[bytes], found: Survey) -> Iterator[bytes]:
    found.kept = 0
    for record in records:
        found.kept += 1
        found.last_number = found.kept
        yield record


@contextmanager
def _place(run: RunDirectory, output: Path | None) -> Iterator[tuple[Path, Path]]:
    """Where to write the log, and where it will be: a file that was named, or a whole new run directory."""
    if output is not None:
        yield output, output
        return
    folder = default_folder(run)
    if os.path.lexists(folder):
        raise already_there(folder)
    try:
        folder.parent.mkdir(exist_ok=True)
        unfinished = make_unfinished(folder)
    except OSError as error:
        raise unwritable(folder.parent, error) from error
    try:
        bring_files(run, unfinished, folder)
        yield unfinished / run.log.name, folder / run.log.name
        unfinished.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
