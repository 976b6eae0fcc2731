"""Console records → lines of `output.log`.

A record holds what the program wrote, not lines: progress bars return the carriage and move the cursor up. Like the
official client, each of stdout and stderr writes to a small terminal of 32 lines; both share one numbering of lines.
``\\r`` goes to column 0, ``\\n`` to the next line, ``ESC [ A`` and ``ESC [ B`` up and down one line; every other escape
sequence is text. A character overwrites what stands there, and nothing is erased. A line is final, and leaves here,
when 32 newer lines exist (or at the end). Source: core/internal/terminalemulator and runconsolelogs of SDK 0.31.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from backhaul.runs.moment import moment
from backhaul.wandblog.state import State

HEIGHT = 32
MAX_LINE_LENGTH = 4096

_TOKENS = re.compile(r"[^\r\n\x1b]+|[\r\n\x1b]")


@dataclass(frozen=True, slots=True)
class OutputLine:
    """A line of the console as a terminal would show it; `stream` is "stdout" or "stderr", `time` when it was begun."""

    text: str
    stream: str
    time: datetime


@dataclass(slots=True)
class ConsoleLine:
    """One line of the console. `level` is "ERROR " for stderr; `seconds` and `nanos` are when it was begun (UTC)."""

    level: str
    seconds: int
    nanos: int
    content: str = ""

    def put(self, text: str, column: int) -> None:
        """Write `text` at `column`; what does not fit into the longest line allowed is cut."""
        if column >= MAX_LINE_LENGTH:
            return
        text = text[: MAX_LINE_LENGTH - column]
        here = self.content
        if column > len(here):
            here = here.ljust(column)
        self.content = here[:column] + text + here[column + len(text) :]

    def plain(self) -> str:
        """The line as `file_stream` takes it: `[ERROR ]YYYY-MM-DDTHH:MM:SS.ffffff text`."""
        return f"{self.level}{self._time()} {self.content}"

    def structured(self) -> str:
        """The line as JSON, for a server with the feature STRUCTURED_CONSOLE_LOGS."""
        line = {"level": "error"} if self.level else {}
        return json.dumps(line | {"ts": self._time(), "content": self.content}, ensure_ascii=False)

    def shown(self) -> OutputLine:
        """The line for whoever reads the run here."""
        return OutputLine(self.content, "stderr" if self.level else "stdout", moment(self.seconds, self.nanos))

    def _time(self) -> str:
        return f"{moment(self.seconds, self.nanos):%Y-%m-%dT%H:%M:%S.%f}"


class Console:
    """The lines of a run's console; `final` holds those that can no longer change, until the caller takes them."""

    def __init__(self) -> None:
        self.final: list[ConsoleLine] = []
        self._window: list[ConsoleLine] = []
        self._terminals = {"": _Terminal("", self), "ERROR ": _Terminal("ERROR ", self)}
        self._now = (0, 0)

    def state(self) -> State:
        """What may still change, once all final lines were taken. Of a line that cannot, only its place matters."""
        places = {id(line): place for place, line in enumerate(self._window)}
        return {
            "window": [astuple(line) for line in self._window],
            "terminals": {level: each.state(places) for level, each in self._terminals.items()},
            "now": list(self._now),
        }

    def restore(self, state: State) -> None:
        """Go on from a `state()`."""
        self._window = [ConsoleLine(*line) for line in state["window"]]
        for level, each in self._terminals.items():
            each.restore(state["terminals"][level], self._window)
        seconds, nanos = state["now"]
        self._now = seconds, nanos

    def write(self, record: Any) -> None:
        """Take an OutputRecord (0.10 to 0.12) or OutputRawRecord (0.13 on)."""
        self._now = (record.timestamp.seconds, record.timestamp.nanos)
        self._terminals["" if record.output_type == 1 else "ERROR "].write(record.line)

    def write_lines(self, text: str) -> None:
        """Take the text of an OutputLoggerRecord (`run.write_logs`): whole lines, which never change."""
        for line in text.removesuffix("\n").split("\n"):
            self.new_line("").content = line

    def take(self) -> Iterator[OutputLine]:
        """Hand over the lines that are final."""
        taken, self.final = self.final, []
        return (line.shown() for line in taken)

    def finish(self) -> int:
        """Nothing more will come: all lines are final. How many of them were not until now."""
        self.final.extend(self._window)
        ended = len(self._window)
        self._window = []
        return ended

    def new_line(self, level: str) -> ConsoleLine:
        """Begin the next line of the shared numbering."""
        line = ConsoleLine(level, *self._now)
        self._window.append(line)
        if len(self._window) > HEIGHT:
            self.final.append(self._window.pop(0))
        return line

    def is_open(self, line: ConsoleLine) -> bool:
        """Whether `line` may still change."""
        return any(line is candidate for candidate in reversed(self._window))


class _Terminal:
    def __init__(self, level: str, console: Console) -> None:
        self._level = level
        self._console = console
        self._view: list[ConsoleLine] = []
        self._x = 0
        self._y = 0
        self._escape = ""

    def state(self, places: Mapping[int, int]) -> State:
        """The terminal; of its lines the `places`, by the line's identity, in the window of those that may change."""
        view = [places.get(id(line)) for line in self._view]
        return {"view": view, "x": self._x, "y": self._y, "escape": self._escape}

    def restore(self, state: State, window: Sequence[ConsoleLine]) -> None:
        """Go on from a `state()` with the lines of this window."""
        closed = ConsoleLine(self._level, 0, 0)
        self._view = [closed if place is None else window[place] for place in state["view"]]
        self._x, self._y, self._escape = state["x"], state["y"], state["escape"]

    def write(self, text: str) -> None:
        """Take text as the program wrote it; an escape sequence may go on in the next write."""
        for token in _TOKENS.findall(text):
            rest = self._resume_escape(token) if self._escape else token
            if rest:
                self._token(rest)

    def _token(self, token: str) -> None:
        if token == "\n":
            self._x = 0
            self._down()
        elif token == "\r":
            self._x = 0
        elif token == "\x1b":
            self._escape = token
        else:
            self._put(token)

    def _resume_escape(self, token: str) -> str:
        """Use up the characters of `token` that belong to the escape sequence begun; return the rest."""
        while self._escape and token:
            char, token = token[0], token[1:]
            if self._escape == "\x1b" and char == "[":
                self._escape = "\x1b["
                continue
            moves = self._escape == "\x1b["
            escape, self._escape = self._escape, ""
            if moves and char == "A":
                self._y = max(0, self._y - 1)
            elif moves and char == "B":
                self._down()
            else:
                self._put(escape + char)
        return token

    def _put(self, text: str) -> None:
        while self._y >= len(self._view):
            self._view.append(self._console.new_line(self._level))
        line = self._view[self._y]
        if self._console.is_open(line):
            line.put(text, self._x)
        self._x += len(text)

    def _down(self) -> None:
        self._y += 1
        if self._y >= HEIGHT:
            self._y -= 1
            del self._view[:1]
