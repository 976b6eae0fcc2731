"""What is found of a run whose log holds nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from backhaul.repair import repair_run
from backhaul.repair.debug_log import read_debug_log
from backhaul.runs.directory import RunDirectory
from backhaul.runs.local_run import LocalRun

if TYPE_CHECKING:
    from .conftest import MakeRun

_DEBUG_LOG = """\
2026-01-02 03:04:05,001 INFO    MainThread:1 [wandb_setup.py:_flush():81] Current SDK version is 0.22.3
2026-01-02 03:04:05,002 INFO    MainThread:1 [wandb_init.py:init():788] wandb.init called with sweep_config: {}
config: {'lr': 0.001, 'bad': nan, 'worse': -inf, 'shape': (3, 4), 'none': None, 'text': "it's", '_wandb': {}}
2026-01-02 03:04:06,000 INFO    MainThread:1 [wandb_run.py:_config_callback():1360] config_cb None None {'lr': 0.5}
2026-01-02 03:04:06,001 INFO    MainThread:1 [wandb_run.py:_config_callback():1360] config_cb depth 12 None
2026-01-02 03:04:06,002 INFO    MainThread:1 [wandb_run.py:_config_callback()] config_cb None None {'o': <o>, 'kept': 1}
"""


def _recovered(run: RunDirectory, tmp_path: Path) -> LocalRun:
    output = repair_run(run, tmp_path / "new.wandb").output
    return LocalRun(RunDirectory(run.path, output))


def test_the_debug_log_gives_config_updates_and_sdk_version(tmp_path: Path) -> None:
    """Python's own notation is read, nan and inf too; what no program can read back is told, not guessed."""
    path = tmp_path / "debug.log"
    path.write_text(_DEBUG_LOG)
    found = read_debug_log(path)
    config = dict(found.config or {})
    assert str(config.pop("bad")) == "nan"
    assert config == {
        "lr": 0.5,
        "worse": float("-inf"),
        "shape": (3, 4),
        "none": None,
        "text": "it's",
        "depth": 12,
        "kept": 1,
    }
    assert found.sdk_version == "0.22.3"
    assert found.unread == ["the config value `o` is written as no program can read it back"]


def test_a_config_key_without_a_notation_costs_only_itself(tmp_path: Path) -> None:
    """It is told, and never stands in the config under a name that is made up."""
    path = tmp_path / "debug.log"
    path.write_text("config: {<object object at 0x7f01>: 1, 'b': 2, 'deep': {<o>: 3, (1, 2): 4}}\n")
    found = read_debug_log(path)
    assert found.config == {"b": 2, "deep": {"(1, 2)": 4}}
    assert [told.partition(" is ")[0] for told in found.unread] == [
        "a key of the config",
        "a key of `deep` in the config",
    ]


def test_a_file_whose_name_is_no_text_is_told(tmp_path: Path, make_run: MakeRun) -> None:
    """A record has no place for such a name; the others are in the new log."""
    run = make_run([])
    for name in (b"a\xff.txt", b"b.txt"):
        (run.files / os.fsdecode(name)).write_text("x")
    report = repair_run(run, tmp_path / "new.wandb")
    assert "1 saved file" in report.recovered
    assert any("a\\udcff.txt" in told for told in report.missing)


def test_a_config_value_without_a_notation_costs_only_itself(tmp_path: Path) -> None:
    """At any depth; numpy's numbers and paths are read, and brackets inside a text are text."""
    path = tmp_path / "debug.log"
    path.write_text(
        "config: {'lr': np.float32(0.5), 'where': PosixPath('/data'), 'text': '<b> {', 'bad': np.float64(nan),"
        " 'deep': {'model': <class 'torch.nn.Linear'>, 'size': 3, (1, 2): 4}, 'f': <function f at 0x7f01>,"
        " 'list': [1, <object object at 0x1>], 'after': True}\n"
    )
    found = read_debug_log(path)
    config = dict(found.config or {})
    assert str(config.pop("bad")) == "nan"
    assert config == {
        "lr": 0.5,
        "where": "/data",
        "text": "<b> {",
        "deep": {"size": 3, "(1, 2)": 4},
        "after": True,
    }
    names = [sentence.split("`")[1] for sentence in found.unread]
    assert names == ["deep.model", "f", "list"]


def test_a_debug_log_is_data_and_never_run(tmp_path: Path) -> None:
    """A config line with a call in it is not evaluated."""
    path = tmp_path / "debug.log"
    path.write_text(f"config: {{'x': open({str(tmp_path / 'made')!r}, 'w')}}\n")
    assert read_debug_log(path).config is None
    assert not (tmp_path / "made").exists()


def test_everything_in_files_comes_back(make_run: MakeRun, tmp_path: Path) -> None:
    """Config, summary, console text, machine, and the names of all saved files are in the new log."""
    run = make_run([])
    (run.files / "config.yaml").write_text(
        yaml.safe_dump(
            {"lr": {"value": 0.1}, "net": {"value": {"w": 3}}, "_wandb": {"value": {}}, "wandb_version": 1, "odd": {}}
        )
    )
    (run.files / "wandb-summary.json").write_text(json.dumps({"loss": 0.25, "_step": 7, "odd": float("nan")}))
    (run.files / "wandb-metadata.json").write_text(
        json.dumps({"startedAt": "2026-01-02T03:04:05Z", "program": "train.py", "host": "node07", "disk": "odd"})
    )
    (run.files / "output.log").write_text("first\nsecond\n")
    (run.files / "media").mkdir()
    (run.files / "media" / "a.png").write_bytes(b"a")
    found = _recovered(run, tmp_path)
    assert found.config == {"lr": 0.1, "net": {"w": 3}}
    assert (found.summary["loss"], str(found.summary["odd"])) == (0.25, "nan")
    assert [line.text for line in found.console()] == ["first", "second"]
    assert found.metadata["program"] == "train.py"
    assert found.identity.host == "node07"
    assert found.identity.start_seconds == 1767323045
    assert [file.name for file in found.files] == ["media/a.png"]
    assert (found.run_id, found.damage) == ("abc", [])


def test_config_is_taken_from_the_debug_log_when_there_is_no_file(make_run: MakeRun, tmp_path: Path) -> None:
    """Offline runs of today have no config.yaml before they are synced."""
    run = make_run([])
    (run.path / "logs").mkdir()
    (run.path / "logs" / "debug.log").write_text(_DEBUG_LOG)
    found = _recovered(run, tmp_path)
    assert (found.config["lr"], found.config["shape"], found.sdk_version) == (0.5, [3, 4], "0.22.3")


def test_files_that_cannot_be_read_count_as_missing(make_run: MakeRun, tmp_path: Path) -> None:
    """Torn JSON and YAML, as a kill leaves them, stop nothing."""
    run = make_run([])
    (run.files / "config.yaml").write_text("lr: {value: [")
    (run.files / "wandb-summary.json").write_text('{"loss": 0.')
    (run.files / "wandb-metadata.json").write_bytes(b"\xff\xfe")
    report = repair_run(run, tmp_path / "new.wandb")
    assert {"config", "summary", "machine and command", "history"} <= set(report.missing)
    assert report.recovered == []
