"""Delivered means read back: what the destination holds, compared with what the log says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from backhaul.runs.artifacts import UNFINISHED
from backhaul.runs.payloads import Digest
from backhaul.runs.stream import NUMBERED, Stream

# Times pass through servers as floating point numbers of seconds.
_SAME_TIME = 0.001


@dataclass(frozen=True, slots=True)
class Expected:
    """What the destination must hold.

    `lines` are the counts on the server after this fragment's last line, `last_line` is the last history line;
    `summary` and `config` are the JSON texts that were sent; `files` by name, `artifacts` server id → digest (see
    `Artifact.provable_digest`); `finished` whether the run's end was sent. `followed` says that lines of later
    fragments may be behind them.
    """

    lines: Mapping[Stream, int]
    last_line: str | None
    summary: str | None
    config: str
    files: Mapping[str, Digest]
    artifacts: Mapping[str, str]
    finished: bool
    followed: bool = False


@dataclass(frozen=True, slots=True)
class Remote:
    """What the destination says that it holds; the texts are JSON, `state` is the run's state there.

    `files` are size and MD5 (None: not told) by name, `artifacts` state and digest by id.
    """

    lines: Mapping[Stream, int]
    history_tail: list[str]
    summary: str
    config: str
    files: Mapping[str, tuple[int, str | None]]
    artifacts: Mapping[str, tuple[str, str]]
    state: str


class Kind(StrEnum):
    """How a destination differs: something is missing, too much, of other content, or in another state."""

    LESS = "less"
    MORE = "more"
    OTHER = "other"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not at the destination as the log has it."""

    what: str
    expected: str
    found: str
    kind: Kind = Kind.OTHER

    def as_json(self) -> dict[str, str]:
        """The form in `--json`."""
        return {"what": self.what, "expected": self.expected, "found": self.found, "kind": str(self.kind)}

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, found {self.found}"


def compare(expected: Expected, remote: Remote) -> list[Difference]:
    """Every difference between log and destination; none means delivered."""
    return [
        *_compare_lines(expected, remote),
        *_compare_summary(expected.summary, remote.summary),
        *_compare_config(expected.config, remote.config),
        *_compare_files(expected.files, remote.files),
        *_compare_artifacts(expected.artifacts, remote.artifacts),
        *_compare_state(expected, remote),
    ]


def _compare_lines(expected: Expected, remote: Remote) -> Iterator[Difference]:
    for stream in NUMBERED:
        fewest, there = expected.lines[stream], remote.lines[stream]
        if there < fewest or (there > fewest and not expected.followed):
            kind = Kind.LESS if there < fewest else Kind.MORE
            yield Difference(f"lines of {stream}", str(fewest), str(there), kind)
    # Where the numbers differ, the last lines are two different lines.
    alike = expected.lines[Stream.HISTORY] == remote.lines[Stream.HISTORY]
    if alike and expected.last_line is not None and remote.history_tail:
        ours, theirs = plain(json.loads(expected.last_line)), plain(json.loads(remote.history_tail[-1]))
        if ours.get("_step") != theirs.get("_step"):
            yield Difference("last step", str(ours.get("_step")), str(theirs.get("_step")))
        times = [row.get("_timestamp") for row in (ours, theirs)]
        if all(isinstance(time, int | float) for time in times) and not is_same_time(*times):
            yield Difference("time of the last row", str(times[0]), str(times[1]))


def _compare_summary(expected: str | None, found: str) -> Iterator[Difference]:
    ours = plain(json.loads(expected)) if expected else {}
    yield from _compare_members("summary", ours, plain(json.loads(found or "{}")))


def _compare_config(expected: str, found: str) -> Iterator[Difference]:
    """User keys by their values; `_wandb` is W&B's own, which servers and later writers add to."""
    ours = config_values(expected)
    there = json.loads(found or "{}")
    theirs = {key: entry.get("value") if isinstance(entry, dict) else entry for key, entry in there.items()}
    yield from _compare_members("config", plain(ours), plain(theirs))


def config_values(config: str) -> dict[str, Any]:
    """The user's keys and values in a config as it is sent."""
    return {key: entry["value"] for key, entry in json.loads(config).items() if key != "_wandb"}


def last_step_of(line: str | None) -> int | None:
    """The step of a history line; None without a line."""
    step = json.loads(line).get("_step") if line is not None else None
    return step if isinstance(step, int) else None


def _compare_members(what: str, ours: Any, theirs: Any) -> Iterator[Difference]:
    """Nothing of ours may be missing or different; what the server adds of its own is no loss."""
    for key, value in ours.items():
        if key not in theirs:
            yield Difference(f"{what} {key!r}", _short(value), "nothing", Kind.LESS)
        elif theirs[key] != value and not _contains(theirs[key], value):
            yield Difference(f"{what} {key!r}", _short(value), _short(theirs[key]))


def _contains(theirs: Any, ours: Any) -> bool:
    """Whether `theirs` is an object that has all members of the object `ours`, at every depth."""
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        return bool(theirs == ours)
    return all(key in theirs and _contains(theirs[key], value) for key, value in ours.items())


def _compare_files(expected: Mapping[str, Digest], found: Mapping[str, tuple[int, str | None]]) -> Iterator[Difference]:
    for name, digest in expected.items():
        if name not in found:
            yield Difference(f"file {name}", f"{digest.size} bytes", "nothing", Kind.LESS)
            continue
        size, md5 = found[name]
        # A server that tells no MD5 is held to the size.
        if size != digest.size or md5 not in (None, "", digest.md5):
            yield Difference(f"file {name}", f"{digest.size} bytes, MD5 {digest.md5}", f"{size} bytes, MD5 {md5}")


def _compare_artifacts(expected: Mapping[str, str], found: Mapping[str, tuple[str, str]]) -> Iterator[Difference]:
    for artifact_id, digest in expected.items():
        state, there = found.get(artifact_id, ("nothing", ""))
        if digest == UNFINISHED and state in ("PENDING", "COMMITTED"):
            continue
        if state != "COMMITTED" or (digest and there not in ("", digest)):
            kind = Kind.LESS if state != "COMMITTED" else Kind.OTHER
            yield Difference(f"artifact {artifact_id}", f"COMMITTED, digest {digest}", f"{state}, digest {there}", kind)


def _compare_state(expected: Expected, remote: Remote) -> Iterator[Difference]:
    if expected.finished and remote.state == "running":
        yield Difference("state", "finished or failed", remote.state, Kind.STATE)


def is_same_time(one: float, other: float) -> bool:
    """Whether two rows were recorded at the same moment, by their times in Unix seconds."""
    return abs(one - other) < _SAME_TIME


def plain(value: Any) -> Any:
    """A JSON value with its non-finite numbers as the texts that servers write for them, so that equal means equal."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:117] + "…"
