"""Records → what a server is sent: the lines of the streams, the config, the summary, the names of the files.

One `Rows` reads one log from its start. It is a pure function of the records fed to it: the same log gives the same
lines under the same numbers, in every process and however often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from backhaul.runs.config import Config
from backhaul.runs.console import Console
from backhaul.runs.environment import Environment
from backhaul.runs.events import EventRows
from backhaul.runs.history import MAX_LINE_BYTES, HistoryRows
from backhaul.runs.identity import RunIdentity, identity_from, identity_of, updated
from backhaul.runs.metrics import MetricDefinitions
from backhaul.runs.set_aside import SetAside
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.runs.summary import Summary
from backhaul.runs.summary_of_history import SummaryOfHistory
from backhaul.runs.telemetry import Telemetry
from backhaul.wandblog import Batch
from backhaul.wandblog.schema import AlertRecord, ArtifactRecord
from backhaul.wandblog.state import State, bytes_of, text_of


@dataclass(frozen=True, slots=True)
class Exit:
    """How the script ended. `complete` is False when it asked that the run stay open."""

    code: int
    complete: bool = True


@dataclass(slots=True)
class Pending:
    """Lines made and not yet taken: `first` is the number of the first one, `size` their length in characters.

    `last` is the newest line that was taken.
    """

    first: int = 0
    lines: list[str] = field(default_factory=list)
    size: int = 0
    last: str | None = None

    @property
    def next(self) -> int:
        """The number that the next line will have."""
        return self.first + len(self.lines)

    def add(self, line: str) -> None:
        """Put one more line at the end."""
        self.lines.append(line)
        self.size += len(line)

    def take(self) -> tuple[int, list[str]]:
        """Hand over the lines with the number of the first of them."""
        taken = self.first, self.lines
        self.first, self.last = self.next, self.newest
        self.lines, self.size = [], 0
        return taken

    @property
    def newest(self) -> str | None:
        """The line made last."""
        return self.lines[-1] if self.lines else self.last

    def begin_with(self, line: str | None, number: int) -> None:
        """Go on with the line of that number; the `line` before it, if there is one, is made once more."""
        self.first, self.last, self.lines, self.size = number, None, [], 0
        if line is not None:
            self.first -= 1
            self.add(line)


class _Stateful(Protocol):
    def state(self) -> State: ...

    def restore(self, state: State) -> None: ...


class Rows:
    """Takes the records of one log in order; see `pending` for the lines made so far.

    `structured_console` makes console lines JSON, for servers with that feature. `starting_step` is the first step that
    a row may have (a resumed run goes on where the server stands).
    """

    def __init__(self, identity: RunIdentity, *, structured_console: bool = False, starting_step: int = 0) -> None:
        self.identity = identity
        self.has_run_record = False
        self.pending = {stream: Pending() for stream in NUMBERED}
        self.history = HistoryRows(starting_step)
        self.events = EventRows()
        self.telemetry = Telemetry()
        self.metrics = MetricDefinitions()
        self.environment = Environment()
        self.config = Config()
        self.files: dict[str, None] = {}
        self.artifacts: list[Any] = []
        self.alerts: list[Any] = []
        self.exit: Exit | None = None
        self.preempting = False
        # Records of kinds that were added to the format since.
        self.unknown = 0
        self.recorded_by_python_engine = True
        # Console lines that only the end of a torn log made final: a whole copy of it may say more.
        self.provisional_lines = 0
        self.output_text: list[str] = []
        self._structured = structured_console
        self._summary = Summary()
        self._summary_of_history: SummaryOfHistory | None = None
        self._console = Console()
        self._handlers: dict[str | None, Callable[[Any], None]] = {
            name.removeprefix("_take_"): getattr(self, name) for name in dir(self) if name.startswith("_take_")
        }

    def go_on_from(self, config: str, summary: str) -> None:
        """Keep what an earlier part has set and this log does not; `config` and `summary` as servers have them."""
        self.config.go_on_from(config)
        self._summary.go_on_from(summary)

    def state(self) -> State:
        """What was taken so far, but for `go_on_from` and the lines: of these the numbers, and the last row."""
        return {
            "identity": self.identity.state(),
            "has_run_record": self.has_run_record,
            "lines": {stream.name.lower(): self.pending[stream].next for stream in NUMBERED},
            "last_row": self.pending[Stream.HISTORY].newest,
            "parts": {name: part.state() for name, part in self._parts()},
            "files": list(self.files),
            "artifacts": [text_of(each.SerializeToString()) for each in self.artifacts],
            "alerts": [text_of(each.SerializeToString()) for each in self.alerts],
            "exit": self.exit and [self.exit.code, self.exit.complete],
            "preempting": self.preempting,
            "unknown": self.unknown,
            "recorded_by_python_engine": self.recorded_by_python_engine,
            "summary_of_history": self._summary_of_history and self._summary_of_history.state(),
        }

    def restore(self, state: State) -> None:
        """Go on from a `state()`. The last row is made once more, as whoever compares it with a server's needs it."""
        self.identity, self.has_run_record = identity_from(state["identity"]), state["has_run_record"]
        for stream in NUMBERED:
            last = state["last_row"] if stream is Stream.HISTORY else None
            self.pending[stream].begin_with(last, state["lines"][stream.name.lower()])
        for name, part in self._parts():
            part.restore(state["parts"][name])
        self.files = dict.fromkeys(state["files"])
        self.artifacts = [ArtifactRecord.FromString(bytes_of(each)) for each in state["artifacts"]]
        self.alerts = [AlertRecord.FromString(bytes_of(each)) for each in state["alerts"]]
        self.exit = Exit(*state["exit"]) if state["exit"] else None
        self.preempting = state["preempting"]
        self.unknown = state["unknown"]
        self.recorded_by_python_engine = state["recorded_by_python_engine"]
        if state["summary_of_history"] is not None:
            self._summary_of_history = SummaryOfHistory()
            self._summary_of_history.restore(state["summary_of_history"])

    def _parts(self) -> Iterator[tuple[str, _Stateful]]:
        """What keeps a state of its own."""
        yield "history", self.history
        yield "events", self.events
        yield "telemetry", self.telemetry
        yield "metrics", self.metrics
        yield "environment", self.environment
        yield "config", self.config
        yield "summary", self._summary
        yield "console", self._console

    def take(self, batch: Batch) -> None:
        """Take the next records; types that no server is told about are passed over, unknown ones counted.

        The history records come last: they are quicker taken together, and no other record asks for them.
        """
        history: list[bytes] = []
        for kind, content in batch.contents():
            if kind == "history":
                history.append(content)
            elif (handler := self._handlers.get(kind)) is not None:
                handler(content)
            elif kind is None:
                self.unknown += 1
        self._add_rows(history)

    def finish(self, *, recording: bool = False) -> None:
        """There are no more records: a missing summary is computed, and console lines are final, unless `recording`."""
        if not recording:
            ended = self._console.finish()
            self.provisional_lines = 0 if self.exit else ended
        self._take_console_lines()
        if not self._summary.from_records and self._summary_of_history is not None:
            self._summary_of_history.fill(self._summary, self.metrics)

    @property
    def size(self) -> int:
        """Characters in all lines not yet taken."""
        return sum(pending.size for pending in self.pending.values())

    @property
    def set_aside(self) -> list[SetAside]:
        """What of the records so far no server takes, each with the reason: rows, and values that stand to the last."""
        return [*self.history.set_aside, *self.config.set_aside(), *self._summary.set_aside()]

    def summary_json(self) -> str | None:
        """The summary as it stands, one line; None when the run has none."""
        return self._summary.to_json(self.history.last_step)

    def config_json(self) -> str:
        """The config as it stands, as UpsertBucket takes it."""
        return self.config.to_json(self.telemetry, self.metrics, self.environment)

    def config_yaml(self) -> bytes:
        """The content of `config.yaml`."""
        return self.config.to_yaml(self.telemetry, self.metrics, self.environment)

    def _take_header(self, header: Any) -> None:
        # Only the Go engine signs the header; the Python engine's is an empty message.
        self.recorded_by_python_engine = not header.version_info.producer
        if self.recorded_by_python_engine:
            self._summary_of_history = SummaryOfHistory()

    def _take_run(self, run: Any) -> None:
        self.identity = updated(self.identity, run) if self.has_run_record else identity_of(run)
        self.has_run_record = True
        self.events.take_run(run)
        self.config.apply(run.config)
        if run.HasField("summary"):
            self._summary.apply(run.summary.SerializeToString())
        if run.telemetry:
            self.telemetry.apply(run.telemetry)

    def _add_rows(self, records: list[bytes]) -> None:
        for line in self.history.lines(records):
            self.pending[Stream.HISTORY].add(line)
            if self._summary_of_history is not None:
                self._summary_of_history.add(line)

    def _take_summary(self, summary: bytes) -> None:
        self._summary.apply(summary)

    def _take_stats(self, stats: Any) -> None:
        line = self.events.line(stats)
        if len(line) > MAX_LINE_BYTES:
            self.history.set_aside.append(SetAside("system metrics row", f"it is longer than {MAX_LINE_BYTES} bytes"))
            return
        self.pending[Stream.EVENTS].add(line)

    def _take_output(self, output: Any) -> None:
        self._console.write(output)
        self._take_console_lines()

    def _take_output_raw(self, output_raw: Any) -> None:
        self._console.write(output_raw)
        self._take_console_lines()

    def _take_output_logger(self, output_logger: Any) -> None:
        self._console.write_lines(output_logger.line)
        self._take_console_lines()

    def _take_console_lines(self) -> None:
        if not self._console.final:
            return
        pending = self.pending[Stream.OUTPUT]
        for line in self._console.final:
            pending.add(line.structured() if self._structured else line.plain())
            self.output_text.append(line.content)
        self._console.final.clear()

    def _take_config(self, config: Any) -> None:
        self.config.apply(config)

    def _take_telemetry(self, telemetry: bytes) -> None:
        self.telemetry.apply(telemetry)

    def _take_metric(self, metric: Any) -> None:
        self.metrics.apply(metric)

    def _take_environment(self, environment: bytes) -> None:
        if not self.recorded_by_python_engine:
            self.environment.apply(environment)

    def _take_files(self, files: Any) -> None:
        self.files.update(dict.fromkeys(item.path for item in files.files))

    def _take_artifact(self, artifact: Any) -> None:
        self.artifacts.append(artifact)

    def _take_alert(self, alert: Any) -> None:
        self.alerts.append(alert)

    def _take_preempting(self, _: Any) -> None:
        self.preempting = True

    def _take_exit(self, end: Any) -> None:
        self.exit = self.exit or Exit(end.exit_code, not end.not_complete)
