"""`import backhaul`: its names, its weight, and what `open_run` reads of real runs."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import backhaul
from backhaul.errors import NoRunsFound, NotAWandbLog, UsageError

from ..command import RECORDED, copied, copy_of, log_of, record

_COMPLETE = sorted(
    path.parent.name for path in RECORDED.glob("*/expected.json") if json.loads(path.read_text())["ended"]
)
_KILLED = sorted(path.name for path in RECORDED.glob("*-killed"))


def _expected(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RECORDED / name / "expected.json").read_text())
    return document


def _recorded(name: str) -> backhaul.LocalRun:
    (path,) = RECORDED.glob(f"{name}/offline-run-*")
    return backhaul.open_run(path)


def _metrics(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("_step", "_runtime", "_timestamp")}


def _same(left: Any, right: Any) -> bool:
    """Equality in which NaN is NaN."""
    return json.dumps(_floats(left), sort_keys=True) == json.dumps(_floats(right), sort_keys=True)


def _floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_the_public_names_are_these() -> None:
    """A name that goes or comes changes what others import: it is changed here as well, and told in the changelog."""
    assert set(backhaul.__all__) == {
        "BackhaulError",
        "Damage",
        "DamageKind",
        "Event",
        "EventKind",
        "LocalRun",
        "LogEnd",
        "LoggedArtifact",
        "LoggedFile",
        "Outcome",
        "OutputLine",
        "Report",
        "RunState",
        "__version__",
        "open_run",
        "sync",
        "verify",
    }
    assert all(getattr(backhaul, name) is not None for name in backhaul.__all__)
    public = {name for name in dir(backhaul.LocalRun) if not name.startswith("_")}
    assert public == {
        "artifacts", "config", "console", "damage", "duration", "end", "event_lines", "events", "exit_code", "files",
        "glance", "has_run_record", "history", "history_lines", "identity", "is_complete", "line_counts", "log",
        "lost_records", "metadata", "notes", "path", "python_version", "run_id", "sdk_version", "set_aside",
        "start_time", "state", "summary", "to_arrow", "to_pandas",
    }  # fmt: skip


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="open_rum"):
        backhaul.open_rum  # noqa: B018


def test_importing_it_imports_nothing_heavy() -> None:
    """Neither the network nor protobuf nor tables; and no part of Backhaul itself."""
    script = "import sys, backhaul; print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    heavy = ("google", "aiohttp", "asyncio", "pandas", "pyarrow", "numpy", "rich", "click", "yaml", "wandb")
    assert [name for name in modules if name.split(".")[0] in heavy or name.startswith("backhaul.")] == []


def test_opening_a_run_imports_no_table_library_and_no_client() -> None:
    """Reading a log costs what reading a log needs."""
    (path,) = RECORDED.glob("0.31.0/offline-run-*")
    script = f"import sys, backhaul; list(backhaul.open_run({str(path)!r}).history()); print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    heavy = ("aiohttp", "pandas", "pyarrow", "numpy", "rich", "click", "wandb")
    assert [name for name in modules if name.split(".")[0] in heavy] == []


@pytest.mark.parametrize("name", _COMPLETE)
def test_a_complete_run_of_every_sdk_is_what_was_recorded(name: str) -> None:
    """Rows, steps, config, summary, console, identity, files and exit code, against what the script had logged."""
    run, expected = _recorded(name), _expected(name)
    rows = list(run.history())
    assert [row["_step"] for row in rows] == [row["step"] for row in expected["rows"]]
    assert all(_same(_metrics(row), logged["metrics"]) for row, logged in zip(rows, expected["rows"], strict=True))
    assert _same(run.config, expected["config"])
    assert _same({key: run.summary[key] for key in expected["summary"] if key in run.summary}, _without_null(expected))
    assert "_wandb" not in run.summary
    lines = list(run.console())
    for stream in ("stdout", "stderr"):
        shown = [_plain(line.text) for line in lines if line.stream == stream]
        assert shown == expected["console"][stream]
    who = run.identity
    assert (who.run_id, who.project, who.display_name) == (expected["run_id"], "recorded", expected["name"])
    assert (who.tags, who.notes) == (tuple(expected["tags"]), expected["notes"])
    sizes = {file.name: file.size for file in run.files}
    assert {file["name"]: file["size"] for file in expected["files"]}.items() <= sizes.items()
    assert (len(sizes), "requirements.txt" in sizes) == (len(run.files), (run.path / "files/requirements.txt").exists())
    assert (run.exit_code, run.state) == (expected["exit_code"], "failed" if expected["exit_code"] else "finished")
    assert (run.damage, run.is_complete, run.end) == ([], True, backhaul.LogEnd.COMPLETE)
    assert run.sdk_version == expected["sdk"]
    assert run.line_counts == {"history": len(rows), "events": len(list(run.events())), "console": len(lines)}


def _without_null(expected: dict[str, Any]) -> dict[str, Any]:
    """A server shows no null of a summary."""
    return {key: value for key, value in expected["summary"].items() if value is not None}


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[\d*m", "", text)


@pytest.mark.parametrize("name", _KILLED)
def test_a_killed_run_is_read_up_to_its_kill(name: str) -> None:
    """Its rows are the first that were logged; it has no exit code, and how much may be missing is said."""
    run, expected = _recorded(name), _expected(name)
    rows = list(run.history())
    logged = expected["rows"][: len(rows)]
    assert len(rows) > 50
    assert all(_same(_metrics(row), each["metrics"]) for row, each in zip(rows, logged, strict=True))
    assert (run.exit_code, run.state, run.is_complete) == (None, "crashed", True)
    assert run.end in (backhaul.LogEnd.TORN, backhaul.LogEnd.NO_EXIT)
    assert any("killed" in note for note in run.notes)
    assert run.duration is not None


@pytest.mark.parametrize("name", ["empty", "header-only"])
def test_an_empty_log_is_a_run_without_rows(name: str) -> None:
    """Nothing raises: the id is that of the file's name, and `end` says why there is nothing."""
    run = _recorded(name)
    assert (list(run.history()), run.config, run.summary, run.damage) == ([], {}, {}, [])
    assert run.run_id == _expected(name)["run_id"]
    assert run.end in (backhaul.LogEnd.EMPTY, backhaul.LogEnd.HEADER_ONLY)
    assert (run.start_time, run.duration, run.state) == (None, None, "crashed")


def test_damage_is_told_and_does_not_raise(tmp_path: Path) -> None:
    """The rows around it are there, and the number of records that are not."""
    path = copy_of("0.31.0-long", tmp_path)
    log = log_of(path)
    data = bytearray(log.read_bytes())
    data[40_000] ^= 0xFF
    log.write_bytes(data)
    run = backhaul.open_run(path)
    logged = _expected("0.31.0-long")["row_count"]
    assert logged - 1 <= len(list(run.history())) <= logged
    assert (run.lost_records, run.is_complete, len(run.damage)) == (1, False, 1)
    assert run.damage[0].kind is backhaul.DamageKind.BAD_CHECKSUM
    assert run.damage[0].offset <= 40_000 < run.damage[0].offset + run.damage[0].length


def test_every_form_of_a_path_opens_the_run(tmp_path: Path) -> None:
    """Text or Path; the directory, the log, `files`, and a link to the directory."""
    path = copy_of("0.31.0", tmp_path)
    (tmp_path / "latest-run").symlink_to(path)
    for form in (str(path), path, log_of(path), path / "files", tmp_path / "latest-run", tmp_path / "wandb"):
        assert backhaul.open_run(form).run_id == "rec-0310"


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    """Nothing there, several runs, something else by that name: all are BackhaulErrors with a next step."""
    with pytest.raises(NoRunsFound):
        backhaul.open_run(tmp_path / "nothing")
    copy_of("0.31.0", tmp_path)
    copy_of("0.17.9", tmp_path)
    with pytest.raises(UsageError, match="2 runs"):
        backhaul.open_run(tmp_path)
    other = tmp_path / "other.wandb"
    other.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(NotAWandbLog, match="zip") as caught:
        backhaul.open_run(other)
    assert isinstance(caught.value, backhaul.BackhaulError)
    assert caught.value.next


def test_missing_payloads_are_told(tmp_path: Path) -> None:
    """A saved file whose original is gone is in `files`, with where the link led."""
    path = copied(next(RECORDED.glob("0.31.0/offline-run-*")), tmp_path)
    saved = path / "files" / "weights.bin"
    saved.unlink()
    saved.symlink_to(tmp_path / "gone.bin")
    files = {file.name: file for file in backhaul.open_run(path).files}
    assert (files["weights.bin"].present, files["weights.bin"].link) == (False, tmp_path / "gone.bin")
    assert files["requirements.txt"].present


def test_artifacts_are_held_against_the_disk(isolated_env: dict[str, str], tmp_path: Path) -> None:
    """Their files lie outside of the run directory, where a clean-up takes them: which are gone is told."""
    script = """
        import wandb
        run = wandb.init(project="p", id="art")
        artifact = wandb.Artifact("model", type="model")
        for name in ("one", "two"):
            open(name, "w").write(name)
            artifact.add_file(name)
        run.log_artifact(artifact, aliases=["best"])
        run.finish()
    """
    (path,) = record(script, tmp_path, isolated_env)
    (artifact,) = backhaul.open_run(path).artifacts
    assert (artifact.name, artifact.type, artifact.entries, artifact.missing) == ("model", "model", 2, ())
    assert "best" in artifact.aliases
    staged = [each for each in Path(isolated_env["WANDB_DATA_DIR"]).rglob("*") if each.is_file()]
    (two,) = [each for each in staged if each.read_text() == "two"]
    two.unlink()
    (artifact,) = backhaul.open_run(path).artifacts
    assert artifact.missing == (two,)


def test_pandas_keeps_kinds_and_odd_numbers() -> None:
    """Whole numbers stay whole beside missing ones, NaN and infinities stay, media stay dicts."""
    frame = _recorded("0.31.0").to_pandas()
    rows = _expected("0.31.0")["rows"]
    assert list(frame["_step"]) == [row["step"] for row in rows]
    assert str(frame.dtypes["big_int"]) == "Int64"
    assert str(frame.dtypes["flag"]) == "boolean"
    assert frame["big_int"].dropna().tolist() == [9007199254740991]
    row = frame[frame["_step"] == 3].iloc[0]
    assert (row["inf"], row["minus_inf"], math.isnan(row["nan"])) == (math.inf, -math.inf, True)
    assert frame["nested.b.d"].dropna().tolist() == ["deep"]
    assert frame["report"].dropna().tolist()[0]["_type"] == "html-file"


def test_arrow_tells_missing_from_not_a_number() -> None:
    """Null where nothing was logged, NaN where NaN was."""
    table = _recorded("0.31.0").to_arrow()
    values = table.column("nan").to_pylist()
    assert len(values) == 21
    assert [value is None for value in values].count(False) == 1
    assert math.isnan(values[3])
    assert table.column("big_int").to_pylist()[5] == 9007199254740991
    assert json.loads(table.column("list").to_pylist()[11]) == [1, 2.5, "three"]


def test_a_table_library_that_is_not_there_is_named() -> None:
    """With what to install, and not as an ImportError from the depth."""
    (path,) = RECORDED.glob("0.31.0/offline-run-*")
    script = f"""
import sys
sys.modules["pandas"] = None
import backhaul
try:
    backhaul.open_run({str(path)!r}).to_pandas()
except backhaul.BackhaulError as error:
    print(error.message, error.next)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "pandas is not installed" in said
    assert "backhaul[export]" in said
