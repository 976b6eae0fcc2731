"""Compares a recording with what it must contain, by the reader that the official SDK ships (0.28.2 at the latest).

    python recorded_check.py FOLDER     the folder holds expected.json and one run directory

`record-logs` runs this in the environment of such an SDK. Ends with 1 and the differences when there are any.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2
from wandb.sdk.internal.datastore import DataStore

_RECORD: Any = vars(wandb_internal_pb2)["Record"]
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SAME_FOR_ALL = ("run_id", "project", "notes", "group", "job_type", "host")


class _Contents:
    """What a log holds, gathered record by record."""

    def __init__(self) -> None:
        self.run: Any = None
        self.config: dict[str, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.console: list[tuple[str, str]] = []
        self.file_names: list[str] = []
        self.exit_code: int | None = None
        self.samples = 0

    def add(self, record: Any) -> None:
        """Take in one record."""
        kind = record.WhichOneof("record_type")
        handler = getattr(self, f"_add_{kind}", None)
        if handler:
            handler(getattr(record, kind))

    def _add_run(self, run: Any) -> None:
        self.run = run
        self._add_config(run.config)

    def _add_config(self, config: Any) -> None:
        _assign(self.config, config.update)

    def _add_summary(self, summary: Any) -> None:
        _assign(self.summary, summary.update)

    def _add_history(self, history: Any) -> None:
        metrics: dict[str, Any] = {}
        _assign(metrics, history.item)
        self.rows.append({"step": history.step.num, "metrics": _without_own(metrics)})

    def _add_output(self, output: Any) -> None:
        self.console.append(("stdout" if output.output_type else "stderr", output.line))

    _add_output_raw = _add_output

    def _add_files(self, files: Any) -> None:
        self.file_names += [item.path for item in files.files]

    def _add_exit(self, ended: Any) -> None:
        self.exit_code = ended.exit_code

    def _add_stats(self, _: Any) -> None:
        self.samples += 1


def _assign(target: dict[str, Any], items: Iterable[Any]) -> None:
    for item in items:
        *parents, last = list(item.nested_key) or [item.key]
        place = target
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = json.loads(item.value_json)


def _without_own(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out the values that the SDK adds by itself."""
    return {key: value for key, value in values.items() if not key.startswith("_")}


def _records(log: Path, torn: bool) -> Iterator[bytes]:
    """Give the serialised records of the log; its end may be torn only when the run was killed."""
    store: Any = DataStore()
    store.open_for_scan(str(log))
    if _is_misaligned(log):
        store._index = 0  # this engine's blocks began behind the header
    while True:
        try:
            data = store.scan_data()
        except AssertionError:
            if not torn or not store.in_last_block():
                raise
            return
        if data is None:
            return
        yield data


def _is_misaligned(log: Path) -> bool:
    return b"0.17.5+%!s(<nil>)" in log.read_bytes()[:200]


def _read(log: Path, torn: bool) -> _Contents:
    contents = _Contents()
    for data in _records(log, torn):
        record = _RECORD()
        record.ParseFromString(data)
        contents.add(record)
    return contents


def _plain(value: Any) -> Any:
    """Give the value in a form in which equal means equal: NaN is itself, 1 is 1.0 but not True."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return repr(float(value)) if isinstance(value, float) or type(value) is int else repr(value)


def _pairs(found: _Contents, expected: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Give what was found and what was expected of it, for a log that holds more than its header."""
    run = found.run
    names = {"group": "run_group"}
    for name in _SAME_FOR_ALL:
        yield name, getattr(run, names.get(name, name)), expected[name]
    yield "name", run.display_name, expected["name"]
    yield "tags", list(run.tags), expected["tags"]
    yield "config", _without_own(found.config), expected["config"]
    yield "rows", found.rows, expected["rows"] if expected["ended"] else expected["rows"][: len(found.rows)]
    yield "exit code", found.exit_code, expected["exit_code"]
    yield "file names", {file["name"] for file in expected["files"]} - set(found.file_names), set()
    if expected["ended"]:
        yield "summary", _without_own(found.summary), expected["summary"]
    yield from _console_pairs(found.console, expected)


def _console_pairs(console: list[tuple[str, str]], expected: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    if int(expected["sdk"].split(".")[1]) >= 13:
        yield "console", console, [(piece["stream"], piece["text"]) for piece in expected["console"]["written"]]
        return
    # Before 0.13 the SDK runs its own terminal first and writes what that showed, some time later.
    for name in ("stdout", "stderr") if expected["ended"] else ():
        shown = _COLOUR.sub("", "".join(text for stream, text in console if stream == name))
        yield name, shown.splitlines(), expected["console"][name]


def _wrong_files(run: Path, expected: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for file in expected["files"]:
        data = (run / "files" / file["name"]).read_bytes()
        yield file["name"], (hashlib.md5(data).hexdigest(), len(data)), (file["md5"], file["size"])


def main() -> int:
    """Check one recording."""
    folder = Path(sys.argv[1])
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    (log,) = folder.glob("offline-run-*/run-*.wandb")
    size = log.stat().st_size
    pairs = list(_wrong_files(log.parent, expected))
    rows = 0
    if size > 7:
        found = _read(log, torn=not expected["ended"])
        rows = len(found.rows)
        pairs += [*_pairs(found, expected), ("some rows", rows > 0, True)]
    wrong = [(name, was, should) for name, was, should in pairs if _plain(was) != _plain(should)]
    for name, was, should in wrong:
        print(f"{name}:\n  is     {was!r}\n  should {should!r}")
    verdict = "WRONG" if wrong else "holds what was logged"
    samples = found.samples if size > 7 else 0
    print(f"{log.name}: {size} bytes, {rows} of {expected['row_count']} rows, {samples} system samples: {verdict}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
