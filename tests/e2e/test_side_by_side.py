"""The same runs through the official `wandb sync` 0.31 and through `backhaul sync`, into two projects of one depot.

What may differ, and why:

* the time stamp of a console line: the official sync stamps the time of the sync, ours is that of the record;
* `program`: the official sync names its own executable, ours the recorded script;
* in the config, `_wandb.t` 12 (the core's version) and feature 76 (`sync2`), which the official sync adds about itself,
  and the key under `_wandb.e`, which names the syncing process;
* the spelling of numbers (`1` and `1.0`), and of generated JSON and YAML files; their content is compared;
* the display name of a run that was recorded without one: the server makes it up;
* the summary of a resumed run: the official sync loses the keys that only an earlier part logged, ours keeps them;
* in a manifest, `local_path`: where the recording machine had each file, which is nobody's business;
* for logs of the Python engine, everything that only ours delivers: see `test_a_python_engine_log_arrives_with_more`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..command import RECORDED, Backhaul, bare_env, copied, id_of, record
from ..conftest import DepotProcess
from ..depot_contents import Held, held
from ..once import made_once
from .side_by_side_runs import PRINTING, QUIET, SCRIPT, WITH_ARTIFACTS

# Other programs do the work, on a machine that may have much else to do.
pytestmark = pytest.mark.timeout(500)

_RECORDED_GO = ["rec-0310", "rec-0310-killed"]
_RECORDED_PYTHON = ["0.12.21", "0.15.12"]
_PYTHON_IDS = ["rec-01221", "rec-01512"]


@dataclass(frozen=True)
class Pair:
    """One run at both destinations."""

    official: Held
    ours: Held


@dataclass(frozen=True)
class BothWays:
    """The two projects, and the depot that holds them."""

    data: Path
    official: str
    ours: str

    def pair(self, run_id: str) -> Pair:
        """One run at both destinations."""
        return Pair(held(self.data, self.official, run_id), held(self.data, self.ours, run_id))


@pytest.fixture(scope="module")
def both_ways(depot: DepotProcess, healthy_original: Path, tmp_path_factory: pytest.TempPathFactory) -> BothWays:
    """Every run of this module, sent both ways from copies of its own."""
    return made_once(tmp_path_factory, "side-by-side", lambda home: _sent_both_ways(home, depot, healthy_original))


def _sent_both_ways(home: Path, depot: DepotProcess, healthy: Path) -> BothWays:
    env = bare_env(home / "home")
    here = BothWays(depot.data, f"official-{home.name}", f"ours-{home.name}")
    # The official sync leaves artifacts in the project that the log names, whatever --project says.
    runs = [*record(SCRIPT, home / "recording", env | {"WANDB_PROJECT": here.official}), healthy]
    for name in ("0.31.0", "0.31.0-killed", *_RECORDED_PYTHON):
        runs += RECORDED.glob(f"{name}/offline-run-*")
    env |= {"WANDB_BASE_URL": depot.url, "WANDB_API_KEY": depot.api_key}
    _official_sync([copied(run, home / "official") for run in runs], here.official, env)
    for run in runs:
        copied(run, home / "ours")
    done = Backhaul(env, home).sync(home / "ours", "-p", here.ours, timeout=300)
    found = {run["run_id"]: (run["state"], run["error"]) for run in done.document["runs"]}
    assert found == {id_of(run): ("verified", None) for run in runs}
    return here


def _official_sync(runs: list[Path], project: str, env: dict[str, str]) -> None:
    program = Path(sys.executable).with_name("wandb")
    done = subprocess.run(
        [str(program), "sync", "-p", project, *map(str, runs)],
        env=env,
        cwd=runs[0].parent,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _canonical(value: Any) -> str:
    """Text that is equal for equal JSON values; NaN equals NaN, and 1 equals 1.0."""
    return json.dumps(_with_floats(value), sort_keys=True)


def _with_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_floats(item) for item in value]
    whole = isinstance(value, int) and not isinstance(value, bool) and float(value) == value
    return float(value) if whole else value


def _config(config: dict[str, Any]) -> str:
    """The config without what the official sync adds about itself."""
    internal = config["_wandb"]["value"]
    telemetry = internal.get("t", {})
    telemetry.pop("12", None)
    telemetry["3"] = [feature for feature in telemetry.get("3", []) if feature != 76]
    internal["e"] = list(internal.get("e", {}).values())
    internal["m"] = _metrics(internal.get("m", []))
    return _canonical(config)


def _flags(there: Held) -> set[tuple[str, int]]:
    """The flags of telemetry in the config: each field with the numbers in it."""
    telemetry = there.config["_wandb"]["value"]["t"]
    return {(field, flag) for field, flags in telemetry.items() if isinstance(flags, list) for flag in flags}


def _metrics(definitions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Metric definitions with the step metric by name instead of by place: their order is random on the wire."""
    named = []
    for definition in definitions:
        if "5" in definition:
            step = definitions[definition["5"] - 1]
            definition = definition | {"5": step.get("1") or step.get("2")}
        named.append({key: sorted(item) if isinstance(item, list) else item for key, item in definition.items()})
    return sorted(named, key=_canonical)


def _event(line: str) -> str:
    """One row of system metrics."""
    return _canonical(json.loads(line))


class _Yaml12(yaml.SafeLoader):
    """Reads `1e-07`, as the official sync spells it, as a number: YAML 1.1 takes it for text."""


_Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?\Z"), list("-+0123456789")
)


def _file(name: str, content: bytes) -> Any:
    if name == "config.yaml":
        return _config(yaml.load(content, _Yaml12))
    if name in ("wandb-summary.json", "wandb-metadata.json"):
        return _canonical(json.loads(content))
    return content


_NAMED = ["healthy", "late", *_RECORDED_GO]
_ALL = ["healthy", *PRINTING, *QUIET, *_RECORDED_GO]


@pytest.mark.parametrize("run_id", _ALL)
def test_history_and_system_metrics_are_the_same_rows(both_ways: BothWays, run_id: str) -> None:
    """Line by line under the same numbers, as parsed values."""
    pair = both_ways.pair(run_id)
    assert pair.official.history or run_id == "empty", "the official sync delivered no row to compare with"
    assert list(map(_canonical, pair.ours.rows)) == list(map(_canonical, pair.official.rows))
    assert list(map(_event, pair.ours.events.values())) == list(map(_event, pair.official.events.values()))


@pytest.mark.parametrize("run_id", _ALL)
def test_the_console_is_the_same_text(both_ways: BothWays, run_id: str) -> None:
    """The same lines under the same numbers; the time stamps differ by design."""
    pair = both_ways.pair(run_id)
    assert list(pair.ours.output) == list(pair.official.output)
    assert pair.ours.console == pair.official.console


@pytest.mark.parametrize("run_id", _ALL)
def test_summary_and_config_are_the_same_values(both_ways: BothWays, run_id: str) -> None:
    """All keys and values, but for what the official sync adds about itself."""
    pair = both_ways.pair(run_id)
    kept = {"part 0": 9} if run_id == "resumed" else {}
    assert _canonical(pair.ours.summary) == _canonical(pair.official.summary | kept)
    assert _config(pair.ours.config) == _config(pair.official.config)


def test_a_summary_that_was_written_at_several_depths_is_what_the_script_saw(both_ways: BothWays) -> None:
    """An object is set whole, then a member of it set and removed; a number stands in an object's place, and goes.

    The official sync loses members of what was set whole, and sends rows' values that were replaced long ago.
    """
    pair = both_ways.pair("rewritten-summary")
    seen = {"set": {"deep": {"kept": 1, "added": 3}}, "logged": {"c": 6}}
    assert {key: pair.ours.summary[key] for key in seen} == seen
    assert {key: pair.official.summary[key] for key in seen} != seen


def test_what_the_script_emptied_is_empty_and_a_redirected_console_arrives(both_ways: BothWays) -> None:
    """The official sync keeps tags and notes that were taken away, and drops the text of `console="redirect"`."""
    pair = both_ways.pair("emptied")
    # What the script printed before was still in its buffer, and went through the same pipe.
    assert (pair.ours.run.tags, pair.ours.run.notes, pair.ours.console[-1:]) == ((), "", ["through a pipe"])
    assert (pair.official.run.tags, pair.official.run.notes, pair.official.console) == (("one",), "some", [])
    assert pair.ours.rows == pair.official.rows


@pytest.mark.parametrize("run_id", _ALL)
def test_the_files_are_the_same(both_ways: BothWays, run_id: str) -> None:
    """The same names with the same content; generated JSON and YAML is compared by value."""
    pair = both_ways.pair(run_id)
    assert pair.ours.files.keys() == pair.official.files.keys()
    for name, content in pair.official.files.items():
        if (run_id, name) == ("resumed", "wandb-summary.json"):
            continue  # See `test_summary_and_config_are_the_same_values`.
        assert _file(name, pair.ours.files[name]) == _file(name, content), name


@pytest.mark.parametrize("run_id", _ALL)
def test_name_tags_and_end_are_the_same(both_ways: BothWays, run_id: str) -> None:
    """What a page shows of a run beside its curves."""
    pair = both_ways.pair(run_id)
    names = ["tags", "notes", "group", "job_type", "host", "commit", "repo", "sweep", "state", "exit_code"]
    if run_id in _NAMED:
        names.append("display_name")
    assert pair.ours.alerts == pair.official.alerts
    ours, official = ({name: getattr(side.run, name) for name in names} for side in (pair.ours, pair.official))
    assert ours == official


@pytest.mark.parametrize("run_id", WITH_ARTIFACTS)
def test_the_artifacts_are_the_same(both_ways: BothWays, run_id: str) -> None:
    """The same versions: name, type, digest, aliases, tags, words about them, and what each path of them holds."""
    pair = both_ways.pair(run_id)
    official, ours = (
        [
            (
                artifact.collection.name,
                artifact.collection.type,
                artifact.digest,
                artifact.committed,
                artifact.version,
                artifact.aliases,
                artifact.description,
                _canonical(json.loads(artifact.metadata or "null")),
                artifact.size,
                artifact.file_count,
                artifact.tags,
                artifact.ttl,
                artifact.history_step,
                _manifest(side.manifests[artifact.id]),
            )
            for artifact in sorted(side.logged, key=lambda each: (each.collection.name, each.version))
        ]
        for side in (pair.official, pair.ours)
    )
    assert ours == official
    assert official, "the official sync delivered no artifact to compare with"


def _manifest(manifest: dict[str, Any]) -> str:
    """A manifest without the recording machine's paths, which the official sync tells everybody, and others' ids."""
    kept = {
        path: {key: value for key, value in entry.items() if key not in ("local_path", "birthArtifactID")}
        for path, entry in manifest["contents"].items()
    }
    return _canonical(manifest | {"contents": kept})


def test_what_the_script_ended_with_is_shown(both_ways: BothWays) -> None:
    """Not only equal, but right: late changes win, and an exit code of 3 is a failure."""
    late, failed = both_ways.pair("late").ours.run, both_ways.pair("failed").ours.run
    assert (late.display_name, late.tags, late.notes) == ("second name", ("one", "two"), "late notes")
    assert (failed.state, failed.exit_code) == ("failed", 3)
    assert both_ways.pair("rec-0310-killed").ours.run.state == "failed"


@pytest.mark.parametrize("run_id", _PYTHON_IDS)
def test_a_python_engine_log_arrives_with_more(both_ways: BothWays, run_id: str) -> None:
    """Of such logs the official sync of today loses the summary and, of old ones, the console; ours does not.

    Nor the flags of telemetry that the SDK of today has no name for any more.
    """
    pair = both_ways.pair(run_id)
    assert list(map(_canonical, pair.ours.rows)) == list(map(_canonical, pair.official.rows))
    assert pair.ours.console, "the recorded run printed something"
    assert pair.official.console in ([], pair.ours.console)
    official, ours = pair.official.summary, pair.ours.summary
    assert {key: ours.get(key) for key in official} == official
    assert set(ours) - set(official), "ours has nothing more"
    assert pair.official.files.keys() <= pair.ours.files.keys()
    # 76 is the official sync's own.
    assert _flags(pair.official) - {("3", 76)} < _flags(pair.ours)
