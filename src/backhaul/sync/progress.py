"""What a destination has acknowledged of a fragment: the value that the ledger keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from backhaul.runs.payloads import Digest
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.parts import PartsSent, part_entry, parts_after


def no_lines() -> dict[Stream, int]:
    """Zero for each numbered stream."""
    return dict.fromkeys(NUMBERED, 0)


@dataclass(frozen=True, slots=True)
class LogStamp:
    """Which bytes were read: size of the log and its time of change (ns)."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, log: Path) -> Self:
        """The stamp of the log as it lies there now. Raises OSError."""
        status = log.stat()
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that the server refused, in whose place a stand-in is: what a person calls it, and the server's words."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Provisional:
    """Console lines, from the fragment's line `first` on, that only the end of a log of `size` bytes made final."""

    first: int
    size: int


@dataclass(frozen=True, slots=True)
class Progress:
    """A fragment's progress at one destination.

    `begun` says that numbering is settled: line n of the fragment is line `base` + n on the server, steps start at
    `starting_step`, console lines are JSON if `structured`. `lines` are acknowledged lines of the fragment per stream,
    `refused` those of them that are stand-ins, by stream and number, `provisional` those that hold only as long as the
    log is no longer; `files` the acknowledged files, `artifacts` the committed ones (number in the log → id there,
    digest), `parts` what arrived of contents that go in parts, by their MD5; `alerts` how many were sent; `completed`
    that the end of the run was acknowledged. `verified` is the log that was read back whole, with the path of the
    receipt and the entity and project under which the server has the run.
    """

    begun: bool = False
    base: Mapping[Stream, int] = field(default_factory=no_lines)
    starting_step: int = 0
    structured: bool = False
    lines: Mapping[Stream, int] = field(default_factory=no_lines)
    refused: Mapping[tuple[Stream, int], Refusal] = field(default_factory=dict)
    provisional: Provisional | None = None
    files: Mapping[str, Digest] = field(default_factory=dict)
    artifacts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    alerts: int = 0
    parts: Mapping[str, PartsSent] = field(default_factory=dict)
    completed: bool = False
    verified: LogStamp | None = None
    receipt: str | None = None
    entity: str | None = None
    project: str | None = None

    def after(self, entry: Mapping[str, Any]) -> Progress:
        """The progress after one ledger entry. Raises KeyError, TypeError or ValueError for an entry that is none."""
        match entry["what"]:
            case "begin":
                return replace(
                    self,
                    begun=True,
                    base=_lines(entry["base"]),
                    lines=_lines(entry["lines"]),
                    starting_step=int(entry["starting_step"]),
                    structured=bool(entry["structured"]),
                    refused={},
                    provisional=None,
                    completed=False,
                )
            case "forgotten":
                kept = Progress(files=self.files, artifacts=self.artifacts, alerts=self.alerts, parts=self.parts)
                return replace(kept, entity=self.entity, project=self.project)
            case "lines":
                lines = _lines(entry["lines"])
                return replace(self, lines=lines, refused=_refused_before(self.refused, lines))
            case "provisional":
                return replace(self, provisional=_provisional(entry["lines"]))
            case "refused" | "taken":
                return replace(self, refused=_refused_after(self.refused, entry))
            case "files" | "part" | "whole" | "artifact" | "alerts":
                return self._after_payload(entry)
            case "completed":
                return replace(self, completed=bool(entry["completed"]))
            case "verified":
                stamp = LogStamp(int(entry["size"]), int(entry["mtime_ns"]))
                entity, project = entry.get("entity"), entry.get("project")
                return replace(self, verified=stamp, receipt=str(entry["receipt"]), entity=entity, project=project)
            case "unproven":
                return replace(self, verified=None, receipt=None)
        raise ValueError(entry["what"])

    def _after_payload(self, entry: Mapping[str, Any]) -> Progress:
        match entry["what"]:
            case "files":
                return replace(self, files={**self.files, **_files(entry)})
            case "artifact":
                artifact = {str(int(entry["number"])): (str(entry["id"]), str(entry["digest"]))}
                return replace(self, artifacts={**self.artifacts, **artifact})
            case "part" | "whole":
                return replace(self, parts=parts_after(self.parts, entry))
            case _:
                return replace(self, alerts=int(entry["count"]))

    def standing(self, size: int) -> Mapping[Stream, int]:
        """The acknowledged lines per stream that hold for a log of `size` bytes."""
        if self.provisional is None or self.provisional.size == size:
            return self.lines
        return {**self.lines, Stream.OUTPUT: min(self.lines[Stream.OUTPUT], self.provisional.first)}

    def entries(self) -> list[dict[str, Any]]:
        """The fewest entries that give this progress again."""
        entries: list[dict[str, Any]] = []
        if self.begun:
            entries.append(begin_entry(self.base, self.lines, self.starting_step, self.structured))
        if self.provisional is not None:
            entries.append(provisional_entry(self.provisional))
        entries += [refused_entry(*place, why) for place, why in self.refused.items()]
        if self.files:
            entries.append(files_entry(self.files))
        entries += [artifact_entry(int(number), *known) for number, known in self.artifacts.items()]
        for md5, sent in self.parts.items():
            entries += [part_entry(md5, sent.upload, number, etag) for number, etag in sent.etags.items()]
        if self.alerts:
            entries.append({"what": "alerts", "count": self.alerts})
        if self.completed:
            entries.append(completed_entry(True))
        if self.verified is not None:
            entries.append(verified_entry(self.verified, self.receipt or "", self.entity, self.project))
        return entries


def begin_entry(
    base: Mapping[Stream, int], lines: Mapping[Stream, int], starting_step: int, structured: bool
) -> dict[str, Any]:
    """Numbering is settled: written before the first line is sent."""
    return {
        "what": "begin",
        "base": _names(base),
        "lines": _names(lines),
        "starting_step": starting_step,
        "structured": structured,
    }


def forgotten_entry() -> dict[str, Any]:
    """The numbering no longer holds: other lines are about to be where these were."""
    return {"what": "forgotten"}


def lines_entry(lines: Mapping[Stream, int]) -> dict[str, Any]:
    """So many lines of each stream were acknowledged."""
    return {"what": "lines", "lines": _names(lines)}


def provisional_entry(provisional: Provisional | None) -> dict[str, Any]:
    """From this line on the console's lines hold for a log of this size only; or, with None, all hold for good."""
    return {"what": "provisional", "lines": provisional and [provisional.first, provisional.size]}


def refused_entry(stream: Stream, number: int, refusal: Refusal) -> dict[str, Any]:
    """A stand-in was acknowledged in the place of the fragment's line `number`."""
    place = {"stream": stream.name.lower(), "line": number}
    return {"what": "refused", **place, "row": refusal.what, "reason": refusal.reason}


def taken_entry(stream: Stream, number: int) -> dict[str, Any]:
    """The line itself was acknowledged in the place of its stand-in."""
    return {"what": "taken", "stream": stream.name.lower(), "line": number}


def files_entry(files: Mapping[str, Digest]) -> dict[str, Any]:
    """Files were acknowledged."""
    return {"what": "files", "files": {name: [digest.size, digest.md5] for name, digest in files.items()}}


def artifact_entry(number: int, artifact_id: str, digest: str) -> dict[str, Any]:
    """The artifact that the log logs as its `number`-th was committed."""
    return {"what": "artifact", "number": number, "id": artifact_id, "digest": digest}


def completed_entry(completed: bool) -> dict[str, Any]:
    """The end of the run was acknowledged, or, when it is still being recorded, that it goes on."""
    return {"what": "completed", "completed": completed}


def verified_entry(log: LogStamp, receipt: str, entity: str | None, project: str | None) -> dict[str, Any]:
    """The run was read back and equals the log."""
    where = {"entity": entity, "project": project}
    return {"what": "verified", "size": log.size, "mtime_ns": log.mtime_ns, "receipt": receipt, **where}


def unproven_entry() -> dict[str, Any]:
    """The run was read back again, and is no longer there as it was."""
    return {"what": "unproven"}


def _provisional(told: Any) -> Provisional | None:
    if told is None:
        return None
    first, size = told
    return Provisional(int(first), int(size))


def _refused_before(
    refused: Mapping[tuple[Stream, int], Refusal], lines: Mapping[Stream, int]
) -> dict[tuple[Stream, int], Refusal]:
    """What the server no longer holds is sent again: stand-ins go with the lines that they stand for."""
    return {place: why for place, why in refused.items() if place[1] < lines[place[0]]}


def _refused_after(
    refused: Mapping[tuple[Stream, int], Refusal], entry: Mapping[str, Any]
) -> dict[tuple[Stream, int], Refusal]:
    others = {place: why for place, why in refused.items() if place != _place(entry)}
    if entry["what"] == "taken":
        return others
    return {**others, _place(entry): Refusal(str(entry["row"]), str(entry["reason"]))}


def _place(entry: Mapping[str, Any]) -> tuple[Stream, int]:
    return Stream[str(entry["stream"]).upper()], int(entry["line"])


def _files(entry: Mapping[str, Any]) -> dict[str, Digest]:
    return {str(name): Digest(int(size), str(md5)) for name, (size, md5) in entry["files"].items()}


def _names(lines: Mapping[Stream, int]) -> dict[str, int]:
    return {stream.name.lower(): lines[stream] for stream in NUMBERED}


def _lines(names: Mapping[str, Any]) -> dict[Stream, int]:
    return {stream: int(names[stream.name.lower()]) for stream in NUMBERED}
