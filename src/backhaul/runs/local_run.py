"""A run as it lies on disk, read without a server: the Python API of Backhaul."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from backhaul.errors import UnreadableFile
from backhaul.runs.console import Console, OutputLine
from backhaul.runs.content_places import content_places
from backhaul.runs.directory import RunDirectory
from backhaul.runs.events import event_lines
from backhaul.runs.frames import history_frame, history_table
from backhaul.runs.glance import Glance
from backhaul.runs.history import HistoryRows
from backhaul.runs.home import home
from backhaul.runs.identity import RunIdentity
from backhaul.runs.moment import moment
from backhaul.runs.open_files import is_open_for_writing
from backhaul.runs.reading import Condition, Reading, Watch, read_log
from backhaul.runs.recorded_files import LoggedArtifact, LoggedFile, logged_artifact, logged_files
from backhaul.runs.set_aside import SetAside
from backhaul.runs.single import single_run
from backhaul.runs.stream import Stream
from backhaul.wandblog import Batch, Damage, LogEnd, LogReader, LogRecord
from backhaul.wandblog.identify import check_header


def open_run(path: str | os.PathLike[str]) -> LocalRun:
    """The run at `path`: a run directory, its `.wandb` file, its `files` folder, or `latest-run`.

    The log is not read yet, only its first bytes. Raises NoRunsFound; UsageError when several runs are there;
    UnreadableFile; NotAWandbLog, which says what the file is instead. A damaged, torn or empty log raises nothing, here
    and later: `LocalRun.damage` and `LocalRun.end` tell of it.
    """
    return LocalRun(single_run(Path(path)))


class LocalRun:
    """One run directory. Nothing is ever written into it, and memory does not grow with the log.

    `history()`, `events()` and `console()` each read the log once from its start; the other attributes share one
    reading, made when the first of them is asked for.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        try:
            with self.log.open("rb") as file:
                check_header(self.log, file.read(512))
        except OSError as error:
            raise UnreadableFile(f"{self.log} cannot be read: {error.strerror or error}") from error

    def __repr__(self) -> str:
        return f"LocalRun({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._directory.path

    @property
    def log(self) -> Path:
        """The transaction log, `run-ID.wandb`."""
        return self._directory.log

    @property
    def identity(self) -> RunIdentity:
        """Who the run is: id, entity, project, name, notes, tags, group, job type, sweep, host, commit, start time.

        In a log that lost its run record the id is that of the file's name and the rest is empty.
        """
        return self._reading.identity

    @property
    def has_run_record(self) -> bool:
        """Whether the log has a record that says which run it is."""
        return self._reading.has_run_record

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.identity.run_id

    @property
    def start_time(self) -> datetime | None:
        """When recording began (UTC); None when the log does not say."""
        seconds = self.identity.start_seconds
        return None if seconds is None else moment(seconds, self.identity.start_nanos)

    @property
    def duration(self) -> float | None:
        """How long the run lasted, in seconds: as its exit record says, else up to its newest row or system metric."""
        return self._reading.runtime

    @property
    def state(self) -> str:
        """`finished` (exit code 0), `failed` (another one), `running` (the log is being written here), or `crashed`."""
        if self.exit_code is not None:
            return "failed" if self.exit_code else "finished"
        return "running" if is_open_for_writing(self.log) else "crashed"

    @property
    def exit_code(self) -> int | None:
        """The script's exit code; None when the log has no exit record, because the job was killed or still runs."""
        return self._reading.exit_code

    @property
    def config(self) -> dict[str, Any]:
        """The run's config as it was in the end, without W&B's own `_wandb` part."""
        return self._reading.config

    @property
    def summary(self) -> dict[str, Any]:
        """The run's summary, without W&B's own `_wandb` part.

        For a killed run what it would have been, from the rows that reached the disk.
        """
        return {key: value for key, value in self._reading.summary.items() if key != "_wandb"}

    @property
    def sdk_version(self) -> str:
        """The wandb release that recorded the run, or an empty text."""
        return self._reading.sdk_version

    @property
    def python_version(self) -> str:
        """The Python that recorded the run, or an empty text."""
        return self._reading.python_version

    @property
    def metadata(self) -> dict[str, Any]:
        """What the run was recorded on, as in `wandb-metadata.json` (host, program, args, git, gpu …); may be empty."""
        return self._reading.metadata or self._metadata_file

    @property
    def line_counts(self) -> dict[str, int]:
        """How many lines `history`, `events` and `console` have."""
        names = {Stream.HISTORY: "history", Stream.EVENTS: "events", Stream.OUTPUT: "console"}
        return {names[stream]: count for stream, count in self._reading.lines.items()}

    @property
    def files(self) -> list[LoggedFile]:
        """The files that the run saved, those that are missing as well."""
        reading = self._reading
        return list(logged_files(self._directory.files, reading.file_names, all_on_disk=reading.by_python_engine))

    @property
    def artifacts(self) -> list[LoggedArtifact]:
        """The artifacts that the run logged (offline runs only: the log of an online run does not name them)."""
        places = content_places(os.environ, home(), self._directory.files)
        return [logged_artifact(record, places) for record in self._reading.artifacts]

    @property
    def set_aside(self) -> list[SetAside]:
        """Rows and values of the log that no server takes, each with the reason."""
        return list(self._reading.set_aside)

    @property
    def end(self) -> LogEnd:
        """How the log ends."""
        return self._condition.end

    @property
    def damage(self) -> list[Damage]:
        """Byte ranges of the log that gave no record, in file order; empty for a healthy one."""
        return list(self._condition.damage)

    @property
    def is_complete(self) -> bool:
        """Whether damage took no record. A torn tail, the normal end of a killed run, is no such damage."""
        return not self._condition.losses

    @property
    def lost_records(self) -> int | None:
        """How many records damage took; None when that cannot be known."""
        return self._condition.lost

    @property
    def notes(self) -> list[str]:
        """Sentences on what else to know of the log, such as how much a kill may have cost."""
        return list(self._condition.notes)

    def history(self) -> Iterator[dict[str, Any]]:
        """The rows that the script logged, in order, with `_step`, `_runtime` and `_timestamp`.

        Nested dicts stay nested; NaN and infinities are floats; media are dicts with `_type` and a `path` below
        `files/`. Steps are those that a server would show: a step lower than expected is raised.
        """
        return map(json.loads, self.history_lines())

    def history_lines(self) -> Iterator[str]:
        """The same rows, each as one line of JSON (with NaN, Infinity and -Infinity as W&B writes them)."""
        rows = _EveryRow()
        for batch in self._batches():
            yield from rows.lines(batch.contents_of("history"))

    def events(self) -> Iterator[dict[str, Any]]:
        """The system metrics, in order: keys such as `system.cpu`, with `_runtime` and `_timestamp`."""
        return map(json.loads, self.event_lines())

    def event_lines(self) -> Iterator[str]:
        """The same, each as one line of JSON."""
        return event_lines(self._records())

    def console(self) -> Iterator[OutputLine]:
        """The lines of the console as a terminal would show them: progress bars are one line, not thousands."""
        console = Console()
        for record in self._records():
            if record.kind == "output_logger":
                console.write_lines(record.content.line)
            elif record.kind in ("output", "output_raw"):
                console.write(record.content)
            yield from console.take()
        console.finish()
        yield from console.take()

    def glance(self, lines: int = 10) -> Glance:
        """The shape of each numeric metric and the last console lines, found in the one reading of everything else."""
        found = Glance(deque(maxlen=lines))
        self.__dict__["_reading"] = self._read(found.take)
        return found

    def to_pandas(self) -> Any:
        """The history as a `pandas.DataFrame`: a row each, nested keys with dots, dicts and lists of media as they are.

        Whole numbers are `Int64` and truth values `boolean`, so that a missing one is told from any other. Raises
        ConfigurationError when pandas is not installed (`pip install 'backhaul[export]'`).
        """
        return history_frame(self.history)

    def to_arrow(self) -> Any:
        """The history as a `pyarrow.Table`: a column per key, nested keys with dots.

        A column whose values are of several kinds, or dicts or lists, holds their JSON text. NaN stays NaN and a
        missing value is null. Raises ConfigurationError when pyarrow is not installed
        (`pip install 'backhaul[export]'`).
        """
        return history_table(self.history)

    def _records(self) -> Iterator[LogRecord]:
        return chain.from_iterable(self._batches())

    def _batches(self) -> Iterator[Batch]:
        reader = LogReader(self.log)
        yield from reader.batches()
        self.__dict__["_condition"] = Condition.of(reader)

    @cached_property
    def _condition(self) -> Condition:
        """Known after any reading of the whole log."""
        return self._reading.condition

    @cached_property
    def _reading(self) -> Reading:
        return self._read()

    def _read(self, watch: Watch | None = None) -> Reading:
        return read_log(self.log, self._directory.run_id_hint, watch)

    @cached_property
    def _metadata_file(self) -> dict[str, Any]:
        """The Python engine (SDK to 0.17) wrote the metadata into a file instead of the log."""
        try:
            content = json.loads((self._directory.files / "wandb-metadata.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


class _EveryRow(HistoryRows):
    """Rows that are too long for a server are read here all the same."""

    def _bounded(self, line: str, step: int) -> str | None:
        return line
