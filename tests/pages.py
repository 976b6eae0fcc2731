"""Pages of the documentation that are carried out: their blocks, in order, as a reader types them.

A block of `sh` is typed and has to end well; of a `console` block each line behind `$ ` is typed, and what is shown
behind it has to come. A block with a `title="NAME"` is the file of that name. What a reader knows without being told
stands in a comment before the block, which readers do not see:

    <!-- not run: WHY -->        the block is not typed: it needs an account, a cluster, a stick …
    <!-- until Ctrl-C -->        the last command stays; it is asked to end after the page's last block
    <!-- exits: 6 -->            the block ends with this exit code
    <!-- differs: ID, 979 -->    these words of what is shown differ from time to time; later they stand for what came
    <!-- machine: far -->        what follows is typed on another machine
    <!-- prepare: COMMANDS -->   what the reader has at this point: typed before the next block

Times in names of folders, sizes (but not `0 B`) and durations may differ without being named. A line `…` stands for
any lines. How lines are folded, and how columns are spaced, does not matter.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_PARTS = re.compile(
    r"^<!-- (?P<note>.*?) -->$"
    r"|^(?P<fence>```+)(?P<kind>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_NOTE = re.compile(r"(not run|exits|differs|machine|prepare): (.+)|(until Ctrl-C)", re.DOTALL)
# What may differ in what is shown, without being named: the pattern that finds it on the page, and what it stands for.
_DIFFERING = (
    (re.compile(r"\d{8}_\d{6}"), r"\d{8}_\d{6}"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), r"\d\d:\d\d:\d\d"),
    (re.compile(r"(?!0 B)\d+(?:\.\d+)? (?:B|KiB|MiB|GiB)\b"), r"(?!0 B)\d+(?:\.\d+)? (?:B|KiB|MiB|GiB)"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:s|min)\b"), r"\d+(?:\.\d+)? (?:s|min)"),
    (re.compile(r"(?m)\s*^…$\s*"), r".*?"),
    (re.compile(r"\s+"), r"\s+"),
)
# Lines of system metrics in a table of runs: how many there are depends on how long a run took on this machine.
_SYSTEM_METRICS = re.compile(r"((?:verified|pending) +\d+(?: → \d+)? +)\d+(?: → \d+)?")
# What would reach beyond this test: a page says of such a block that it is not run, and why.
BEYOND = re.compile(r"^.*(?:pip install|0\.0\.0\.0|postgresql://|s3://|sudo|docker|sbatch|^kubectl).*$", re.MULTILINE)
# How a terminal is told of bold and colours.
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
# So long is a word that is known again in what is typed later: a key, an id. Shorter ones are numbers.
_A_NAME = 8


@dataclass
class Block:
    """What stands between two fences, and what the comments before it say."""

    kind: str
    title: str | None
    body: str
    notes: dict[str, str] = field(default_factory=dict)


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page in their order."""
    found, notes = [], {}
    for part in _PARTS.finditer(page.read_text(encoding="utf-8")):
        if part["note"] is not None:
            note = _NOTE.fullmatch(part["note"])
            assert note, f"{page.name}: {part['note']!r} says nothing that a test understands"
            notes[note[1] or note[3]] = note[2] or ""
        else:
            found.append(Block(part["kind"], part["title"], part["body"], notes))
            notes = {}
    return found


@dataclass
class Reader:
    """Types what pages show, in folders of its own; one home and one working folder for each machine.

    `places` are the folders that pages name, with where they are in truth; `words` what differed so far.
    """

    folder: Path
    env: dict[str, str]
    places: dict[str, str]
    words: dict[str, str] = field(default_factory=dict)
    machine: str = "near"
    staying: list[tuple[subprocess.Popen[bytes], Iterator[str]]] = field(default_factory=list)

    def carry_out(self, page: Path) -> int:
        """Types the page's blocks, from its first to its last; how many there were. Raises AssertionError."""
        typed = 0
        for block in blocks_of(page):
            self.machine = block.notes.get("machine", self.machine)
            if "prepare" in block.notes:
                self._run(block.notes["prepare"])
            if "not run" in block.notes:
                continue
            beyond = BEYOND.search(block.body) if block.kind in ("sh", "console") else None
            assert not beyond, f"{page.name}: {beyond[0]} is not for a test: <!-- not run: WHY -->" if beyond else ""
            if block.title:
                (self._here() / block.title).write_text(block.body, encoding="utf-8")
            elif "until Ctrl-C" in block.notes:
                self._start(block)
            elif block.kind in ("sh", "console"):
                self._type(block)
            else:
                continue
            typed += 1
        self.leave()
        return typed

    def leave(self) -> None:
        """Presses Ctrl-C where something stays."""
        while self.staying:
            process, lines = self.staying.pop()
            process.send_signal(signal.SIGINT)
            more = "".join(lines)  # until it has ended
            process.wait(120)
            assert process.returncode in (0, 130), f"{process.args} ended with {process.returncode}: {more}"

    def _type(self, block: Block) -> None:
        wanted = int(block.notes.get("exits", 0))
        if block.kind == "sh":
            said, code = self._run(f"set -e\n{block.body}")
            assert code == wanted, f"this ended with {code}:\n{block.body}\n{said}"
            return
        for command, shown in _typed_lines(block.body):
            said, code = self._run(command)
            self._compare(command, shown, said, block.notes.get("differs", ""))
        assert "exits" not in block.notes or code == wanted, f"this ended with {code}:\n{block.body}\n{said}"

    def _start(self, block: Block) -> None:
        """Types what stays at a terminal, and waits for what it shows."""
        (command, shown), *others = _typed_lines(block.body) if block.kind == "console" else [(block.body.strip(), "")]
        assert not others
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-c", f"{self._before()}exec {self._true(command)}"],
            env=self._environment() | {"TERM": "xterm"},
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        lines = _lines(ours)
        self.staying.append((process, lines))
        said = next(lines, "")
        while len(said.split()) < len(shown.split()):
            line = next(lines, None)
            if line is None:
                self.staying.pop()
                process.wait(120)
            assert line, f"`{command}` ended after\n{said}"
            said += line
        self._compare(command, shown, said, block.notes.get("differs", ""))

    def _compare(self, command: str, shown: str, said: str, differs: str) -> None:
        said = self._told(_STYLE.sub("", said))
        words = [word.strip() for word in differs.split(",") if word.strip()]
        wanted, came = (_SYSTEM_METRICS.sub(r"\1*", text) for text in (self._told(self._true(shown)), said.strip()))
        match = re.fullmatch(_pattern(wanted, words), came, re.DOTALL)
        assert match, f"`{command}` shows\n{said}\nand the page has\n{shown}"
        found = {word: match.groupdict().get(f"w{number}") for number, word in enumerate(words)}
        self.words |= {word: true for word, true in found.items() if true and len(word) >= _A_NAME}

    def _run(self, script: str) -> tuple[str, int]:
        """Types it in the shell of the machine, whose variables and folder last; what came, and the exit code."""
        state = self._here() / ".shell"
        after = f'\n}}; code=$?; export -p > "{state}"; echo "cd \'$PWD\'; (exit $code)" >> "{state}"; exit $code'
        done = subprocess.run(
            ["bash", "-c", f"{self._before()}{{ {self._true(script)}{after}"],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=150,
            check=False,
        )
        return done.stdout, done.returncode

    def _before(self) -> str:
        here = self._here()
        return f'cd "{here}"\n[ ! -e "{here}/.shell" ] || . "{here}/.shell"\n'

    def _here(self) -> Path:
        here = self.folder / self.machine / "cifar"
        here.mkdir(parents=True, exist_ok=True)
        return here

    def _environment(self) -> dict[str, str]:
        home = self.folder / self.machine / "home"
        home.mkdir(parents=True, exist_ok=True)
        return self.env | {"HOME": str(home), "LOGNAME": "ada", "USER": "ada", "COLUMNS": "500"}

    def _places(self) -> dict[str, str]:
        here = self._here()
        return {"/scratch/ada/cifar": str(here), "/scratch/ada": str(here.parent / "home")} | self.places

    def _true(self, text: str) -> str:
        """A text of the page with the folders and the words of this time."""
        for named, true in (self._places() | self.words).items():
            text = text.replace(named, true)
        return text

    def _told(self, text: str) -> str:
        """What was shown, with the folders that the page names."""
        for named, true in self._places().items():
            text = text.replace(true, named)
        return text


def _lines(terminal: int) -> Iterator[str]:
    """What is shown at a terminal, line by line, until nobody has it open any more."""
    with os.fdopen(terminal, encoding="utf-8", newline="\n") as file:
        while True:
            try:
                line = file.readline()
            except OSError:  # what Linux says of a terminal that was left
                return
            yield line


def _typed_lines(body: str) -> list[tuple[str, str]]:
    """What is typed in a console block, each with what is shown behind it. A backslash at its end goes on."""
    parts = re.split(r"^\$ ((?:.*\\\n)*.*)$", body, flags=re.MULTILINE)
    assert not parts[0].strip(), "a console block begins with what is typed"
    return [(command, shown.strip()) for command, shown in zip(parts[1::2], parts[2::2], strict=True)]


def _pattern(shown: str, words: list[str]) -> str:
    """A pattern for what is shown; each word that differs is a group."""
    alternatives = [(re.compile(rf"(?<!\w){re.escape(word)}(?!\w)"), None) for word in words] + list(_DIFFERING)
    pattern, at, seen = "", 0, set()
    while at < len(shown):
        for number, (found, stands_for) in enumerate(alternatives):
            match = found.match(shown, at)
            if not match or match.end() == at:
                continue
            if stands_for is not None:
                pattern += stands_for
            elif number in seen:
                pattern += f"(?P=w{number})"  # the same word twice is the same thing twice
            else:
                pattern += rf"(?P<w{number}>\S+(?: [KMG]?i?B)?)"
                seen.add(number)
            at = match.end()
            break
        else:
            pattern += re.escape(shown[at])
            at += 1
    return pattern
