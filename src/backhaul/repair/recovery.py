"""A new log out of a run's other files, when its own log holds nothing.

A job that was killed early leaves a log of seven bytes, or none. What the SDK and the user put beside it is often still
there: config and SDK version (`debug.log`), summary, console text, what the run ran on, and every saved file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format

from backhaul.counted import counted
from backhaul.repair.debug_log import DebugLog, read_debug_log
from backhaul.runs.directory import RunDirectory
from backhaul.runs.payloads import MADE_FROM_LOG
from backhaul.wandblog.schema import EnvironmentRecord, Record

_TIME_IN_NAME = re.compile(r"-(\d{8}_\d{6})-")
_MOST_BYTES = 64 << 20
_FILES_A_RECORD = 1000
_NEWEST_KNOWN_SDK = "0.31.0"


@dataclass(slots=True)
class Recovery:
    """What there is of a run besides its log. `found` and `missing` name the parts for people."""

    run: RunDirectory
    debug: DebugLog
    config: dict[str, Any] | None = None
    summary: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    start: float = 0.0
    files: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def run_record(self) -> bytes:
        """A run record for a log that has none: id by the log's name, start, config, host."""
        record = Record(num=2)
        run = record.run
        run.run_id = self.run.run_id_hint
        run.host = str((self.metadata or {}).get("host") or "")
        run.start_time.FromMicroseconds(int(self.start * 1e6))
        for key, value in (self.config or {}).items():
            run.config.update.add(key=key, value_json=_json(value))
        return bytes(record.SerializeToString())

    def records(self) -> Iterator[bytes]:
        """The records of the whole new log, without an exit record."""
        yield self._header()
        yield self.run_record
        number = 2
        for make in (self._environment, self._telemetry, self._files, self._console, self._summary):
            for record in make():
                number += 1
                record.num = number
                yield record.SerializeToString()

    def _header(self) -> bytes:
        record = Record(num=1)
        # Readers take the version for the SDK's; what follows the plus sign is free.
        record.header.version_info.producer = f"{self.debug.sdk_version or _NEWEST_KNOWN_SDK}+backhaul"
        return bytes(record.SerializeToString())

    def _environment(self) -> Iterator[Any]:
        if self.metadata:
            yield Record(environment=_environment_of(self.metadata).SerializeToString())

    def _telemetry(self) -> Iterator[Any]:
        if version := self.debug.sdk_version.encode():
            # Field 5: the SDK's version, of at most 64 bytes.
            yield Record(telemetry=b"\x2a" + bytes([len(version)]) + version)

    def _files(self) -> Iterator[Any]:
        for start in range(0, len(self.files), _FILES_A_RECORD):
            record = Record()
            for name in self.files[start : start + _FILES_A_RECORD]:
                record.files.files.add(path=name, policy=1, type=2 if name.startswith("media/") else 0)
            yield record

    def _console(self) -> Iterator[Any]:
        path = self.run.files / "output.log"
        if not path.is_file():
            return
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            while text := file.readline(1 << 16):
                record = Record()
                record.output_raw.output_type = 1
                record.output_raw.line = text
                record.output_raw.timestamp.FromMicroseconds(int(self.start * 1e6))
                yield record

    def _summary(self) -> Iterator[Any]:
        if self.summary is None:
            return
        record = Record()
        summary = Record().run.summary
        for key, value in self.summary.items():
            summary.update.add(key=key, value_json=_json(value))
        record.summary = summary.SerializeToString()
        yield record


def recover(run: RunDirectory) -> Recovery:
    """Look for what is left of `run` beside its log. Files that are not there or not readable count as missing."""
    recovery = Recovery(run, read_debug_log(run.path / "logs" / "debug.log"))
    recovery.config = _config(run.files) or recovery.debug.config
    recovery.summary = _mapping(run.files / "wandb-summary.json", json.loads)
    recovery.metadata = _mapping(run.files / "wandb-metadata.json", json.loads)
    names = sorted(_files_of(run.files))
    recovery.files = [name for name in names if _is_text(name)]
    recovery.missing += [f"file {name!r}, whose name is no text" for name in names if not _is_text(name)]
    recovery.start = _start(recovery)
    _tell(recovery)
    return recovery


def _tell(recovery: Recovery) -> None:
    parts = {
        "config": recovery.config is not None,
        "summary": bool(recovery.summary) and set(recovery.summary or ()) != {"_wandb"},
        "console text": (recovery.run.files / "output.log").is_file(),
        "machine and command": bool(recovery.metadata),
    }
    recovery.found += [part for part, there in parts.items() if there]
    recovery.missing += ["history", "system metrics", *(part for part, there in parts.items() if not there)]
    if recovery.files:
        recovery.found.append(counted(len(recovery.files), "saved file"))
    recovery.missing.append("name, project, tags, notes")
    recovery.notes += dict.fromkeys(recovery.debug.unread)


def _config(files: Path) -> dict[str, Any] | None:
    """The config of `config.yaml`, where each key has its value under `value`."""
    content = _mapping(files / "config.yaml", yaml.safe_load)
    if content is None:
        return None
    return {
        str(key): item["value"]
        for key, item in content.items()
        if key not in ("_wandb", "wandb_version") and isinstance(item, dict) and "value" in item
    }


def _mapping(path: Path, parse: Callable[[str], Any]) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            content = parse(file.read(_MOST_BYTES).decode())
    except (OSError, ValueError, yaml.YAMLError, RecursionError, LookupError, TypeError, AttributeError):
        # The last three are what PyYAML raises for a tag whose text does not fit it, such as `!!timestamp x`.
        return None
    return content if isinstance(content, dict) else None


def _files_of(files: Path) -> Iterator[str]:
    for path in files.rglob("*"):
        name = path.relative_to(files).as_posix()
        if name not in MADE_FROM_LOG and (path.is_symlink() or path.is_file()):
            yield name


def _is_text(name: str) -> bool:
    """Whether a name can stand in a record: there are file systems in which any bytes are a name."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _start(recovery: Recovery) -> float:
    """When the run began: what it ran on says so in UTC, its folder's name in local time, else the log's own age."""
    started = (recovery.metadata or {}).get("startedAt")
    try:
        if isinstance(started, str):
            moment = datetime.fromisoformat(started)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if match := _TIME_IN_NAME.search(recovery.run.path.name):
            recovery.notes.append("the start time is taken from the folder's name, as this machine's local time")
            return datetime.strptime(match[1], "%Y%m%d_%H%M%S").astimezone().timestamp()
    except ValueError:
        recovery.notes.append("the start time that is written there is none")
    recovery.notes.append("the start time is taken from the age of the log")
    return recovery.run.log.stat().st_mtime


def _environment_of(metadata: dict[str, Any]) -> Any:
    """The environment record that would be written as this `wandb-metadata.json`; fields of another shape are left."""
    merged = EnvironmentRecord()
    for key, value in metadata.items():
        part = EnvironmentRecord()
        try:
            json_format.ParseDict({key: value}, part, ignore_unknown_fields=True)
        except json_format.ParseError:
            continue
        merged.MergeFrom(part)
    return merged


def _json(value: Any) -> bytes:
    return json.dumps(_with_texts_as_keys(value), ensure_ascii=False, default=str).encode(errors="replace")


def _with_texts_as_keys(value: Any) -> Any:
    """YAML and Python have keys that JSON has not: dates, tuples."""
    if isinstance(value, dict):
        return {str(key): _with_texts_as_keys(item) for key, item in value.items()}
    return [_with_texts_as_keys(item) for item in value] if isinstance(value, list | tuple) else value
