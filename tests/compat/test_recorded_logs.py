"""Logs of thirteen SDK releases, each read to what was logged into it."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from backhaul.runs.directory import RunDirectory
from backhaul.runs.identity import RunIdentity
from backhaul.runs.inspect import inspect
from backhaul.runs.payloads import Payload, digest_of, recorded_payloads
from backhaul.runs.rows import Rows, Stream
from backhaul.wandblog import LogEnd, LogReader

_RECORDED = Path(__file__).parents[1] / "recorded"
_LOGS = sorted(path.parent.name for path in _RECORDED.glob("*/expected.json"))
_WITH_RECORDS = [name for name in _LOGS if name not in ("empty", "header-only")]
_ENDED = [name for name in _WITH_RECORDS if not name.endswith("-killed")]
_KILLED = [name for name in _WITH_RECORDS if name.endswith("-killed")]
_BLOCK = 32768
# What 64 KiB of log hold at least, with the automatic summary of the Go engine beside each row.
_ROWS_ON_DISK = 80

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STAMPED = re.compile(r"(ERROR )?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6} (.*)", re.DOTALL)


def _expected(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_RECORDED / name / "expected.json").read_text("utf-8"))
    return content


def _log(name: str) -> Path:
    (log,) = (_RECORDED / name).glob("offline-run-*/run-*.wandb")
    return log


@cache
def _read(name: str) -> tuple[LogReader, Rows]:
    reader, rows = LogReader(_log(name)), Rows(RunIdentity("unknown"))
    for batch in reader.batches():
        rows.take(batch)
    rows.finish()
    return reader, rows


def _own(values: dict[str, Any]) -> dict[str, Any]:
    """Without what the SDK adds by itself."""
    return {key: value for key, value in values.items() if not key.startswith("_")}


def _same(found: Any, expected: Any) -> None:
    """Asserts equality; NaN is itself, 1 is not True, and 1.0 is 1 (the Go engine writes it so)."""
    assert _comparable(found) == _comparable(expected)


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _comparable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    return repr(float(value)) if type(value) in (int, float) else repr(value)


def _rows(name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in _read(name)[1].pending[Stream.HISTORY].lines]
    return [{"step": line["_step"], "metrics": _own(line)} for line in lines]


@pytest.mark.parametrize("name", _ENDED)
def test_every_row_of_a_run_that_ended_is_there(name: str) -> None:
    """Steps and values, nested ones, not-a-number, other scripts, jumps: in order, none more and none less."""
    _same(_rows(name), _expected(name)["rows"])


@pytest.mark.parametrize("name", _KILLED)
def test_the_rows_of_a_killed_run_are_those_logged_first(name: str) -> None:
    """What reached the disk before the kill is whole; only the newest rows, that the writer still held, may lack."""
    found, logged = _rows(name), _expected(name)["rows"]
    _same(found, logged[: len(found)])
    assert len(found) >= _ROWS_ON_DISK
    # A row takes 200 bytes at least, and no engine holds more than a block.
    assert len(logged) - len(found) <= _BLOCK // 200


@pytest.mark.parametrize("name", _ENDED)
def test_the_log_of_a_run_that_ended_is_complete(name: str) -> None:
    """No damage is seen where there is none, in any release's log, and the exit code is the script's."""
    reader, rows = _read(name)
    assert (reader.end, reader.damage, reader.lost_records, reader.tear) == (LogEnd.COMPLETE, [], 0, None)
    assert rows.exit is not None
    assert (rows.exit.code, rows.exit.complete) == (_expected(name)["exit_code"], True)


@pytest.mark.parametrize("name", _KILLED)
def test_a_killed_run_has_no_exit(name: str) -> None:
    """Nothing inside the log is lost, and the tear says what may be missing behind."""
    reader, rows = _read(name)
    assert reader.end in (LogEnd.TORN, LogEnd.NO_EXIT)
    assert (rows.exit, reader.losses, reader.lost_records) == (None, [], 0)
    assert reader.tear is not None
    assert reader.tear.at_most_bytes == _BLOCK


@pytest.mark.parametrize("name", _WITH_RECORDS)
def test_the_engine_is_recognised(name: str) -> None:
    """By the header record, which only the Go engine signs."""
    reader, rows = _read(name)
    expected = _expected(name)
    assert rows.recorded_by_python_engine == (expected["engine"] == "python")
    assert (reader.producer or "").startswith(expected["sdk"] if expected["engine"] == "go" else "")
    assert rows.telemetry.cli_version == expected["sdk"]


@pytest.mark.parametrize("name", _WITH_RECORDS)
def test_the_run_is_who_it_said_it_was(name: str) -> None:
    """Name and tags as they were last set, everything else as given at the start."""
    identity, expected = _read(name)[1].identity, _expected(name)
    assert {
        "run_id": identity.run_id,
        "project": identity.project,
        "name": identity.display_name,
        "notes": identity.notes,
        "tags": list(identity.tags),
        "group": identity.group,
        "job_type": identity.job_type,
        "host": identity.host,
    } == {key: expected[key] for key in ("run_id", "project", "name", "notes", "tags", "group", "job_type", "host")}
    assert identity.start_seconds is not None


@pytest.mark.parametrize("name", _WITH_RECORDS)
def test_the_config_is_the_last_state(name: str) -> None:
    """Nested values, a literal dot in a key, null, and what was changed late."""
    config = json.loads(_read(name)[1].config_json())
    _same(_own({key: entry["value"] for key, entry in config.items()}), _expected(name)["config"])


@pytest.mark.parametrize("name", _ENDED)
def test_the_summary_is_what_the_run_ended_with(name: str) -> None:
    """From the one record of the Python engine, from the many of the Go engine. A null is never sent."""
    text = _read(name)[1].summary_json()
    assert text is not None
    summary = json.loads(text)
    expected = _expected(name)
    _same(_own(summary), {key: value for key, value in expected["summary"].items() if value is not None})
    assert summary["_step"] == expected["rows"][-1]["step"]


@pytest.mark.parametrize("name", _KILLED)
def test_the_summary_of_a_killed_run_follows_from_its_rows(name: str) -> None:
    """The last value of each metric that reached the disk, and the maximum that was asked for."""
    text = _read(name)[1].summary_json()
    assert text is not None
    summary, rows = json.loads(text), _rows(name)
    last: dict[str, Any] = {}
    for row in rows:
        last |= row["metrics"]
    last["accuracy"] = {"max": max(row["metrics"].get("accuracy", 0) for row in rows)}
    for key in ("loss", "accuracy", "part/one", "exact", "validation/loss", "температура"):
        _same(summary[key], last[key])
    # The Go engine writes the summary just before the row that it follows from, so it may be one row ahead.
    assert summary["extra/text"] in [row["metrics"].get("extra/text") for row in _expected(name)["rows"][-200:]]
    assert summary["_step"] == rows[-1]["step"]


@pytest.mark.parametrize("name", _ENDED)
def test_the_console_shows_what_a_terminal_would(name: str) -> None:
    """Progress bars leave their last state, colours stay, and stderr is marked as such."""
    shown: dict[str, list[str]] = {"stdout": [], "stderr": []}
    for line in _read(name)[1].pending[Stream.OUTPUT].lines:
        match = _STAMPED.fullmatch(line)
        assert match is not None, line
        shown["stderr" if match[1] else "stdout"].append(_COLOUR.sub("", match[2]))
    console = _expected(name)["console"]
    assert shown == {"stdout": console["stdout"], "stderr": console["stderr"]}


@pytest.mark.parametrize("name", _WITH_RECORDS)
def test_the_saved_files_are_found_with_their_content(name: str) -> None:
    """Every file that was saved or logged as media, by name, size and MD5."""
    import base64

    expected = {
        file["name"]: (file["size"], base64.b64encode(bytes.fromhex(file["md5"])).decode())
        for file in _expected(name)["files"]
    }
    _, rows = _read(name)
    payloads = recorded_payloads(_log(name).parent / "files", rows.files, all_on_disk=False)
    found = {}
    for payload in payloads:
        assert isinstance(payload, Payload), payload
        digest = digest_of(payload)
        found[payload.name] = (digest.size, digest.md5)
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize("name", [name for name in _ENDED if name not in ("0.10.33", "0.12.21")])
def test_system_metrics_are_there(name: str) -> None:
    """At least one sample, with its time and numbers under the names that a server expects."""
    lines = [json.loads(line) for line in _read(name)[1].pending[Stream.EVENTS].lines]
    assert lines
    assert all(line["_wandb"] is True and line["_timestamp"] > 1e9 for line in lines)
    assert any(key.startswith("system.") for line in lines for key in line)


@pytest.mark.parametrize("name", _WITH_RECORDS)
def test_a_first_look_sees_the_same(name: str) -> None:
    """Inspecting head and tail tells what reading the whole tells."""
    log = _log(name)
    seen = inspect(RunDirectory(log.parent, log))
    reader, rows = _read(name)
    assert (seen.end, seen.size, seen.producer) == (reader.end, reader.size, reader.producer)
    assert (seen.identity.run_id, seen.identity.start_seconds) == (rows.identity.run_id, rows.identity.start_seconds)


def test_a_log_of_the_header_alone_says_so() -> None:
    """A run killed before its first block was full."""
    reader, _ = _read("header-only")
    assert (reader.end, reader.size, reader.damage) == (LogEnd.HEADER_ONLY, 7, [])


def test_an_empty_log_says_so() -> None:
    """0 bytes, as a full disk leaves it."""
    reader, _ = _read("empty")
    assert (reader.end, reader.size, reader.damage) == (LogEnd.EMPTY, 0, [])
