"""The unmodified `wandb sync` brings offline runs to the depot."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import RunScript

# Other programs do the work, on a machine that may have much else to do.
pytestmark = pytest.mark.timeout(500)

_RECORD = """
    import wandb
    run = wandb.init(project="{project}", id="{id}", mode="offline", resume={resume!r}, tags=["t"],
                     config={{"lr": 0.1}})
    for step in range({rows}):
        run.log({{"loss": step / 7, "nan": float("nan")}})
        print("line", step)
    with open("saved.txt", "w") as file:
        file.write("saved")
    run.save("saved.txt")
    run.alert("title", "text")
    run.finish()
"""

_READ = """
    import json, wandb
    run = wandb.Api().run("{project}/{id}")
    rows = [[row["_step"], row["loss"]] for row in run.scan_history()]
    print(json.dumps({{"rows": rows, "state": run.state, "files": sorted(file.name for file in run.files()),
        "loss": run.summary["loss"], "lines": len(run.file("output.log").download("got", replace=True).readlines()),
        "config": run.config, "tags": run.tags}}))
"""


def _sync(env: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        ["wandb", "sync", *arguments], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def _recorded(env: dict[str, str]) -> list[str]:
    return sorted(str(path) for path in Path(env["WANDB_DIR"], "wandb").glob("offline-run-*"))


def test_an_offline_run_arrives_and_again_changes_nothing(
    sdk: RunScript, sdk_env: dict[str, str], project: str
) -> None:
    """Rows, summary, console, files; a second sync of the same folder leaves no row twice."""
    sdk(_RECORD.format(project=project, id="off", rows=300, resume=None))
    _sync(sdk_env, *_recorded(sdk_env))
    once: Any = sdk(_READ.format(project=project, id="off"))
    assert once["rows"] == [[step, step / 7] for step in range(300)]
    assert (once["state"], once["loss"], once["lines"]) == ("finished", 299 / 7, 300)
    assert (once["config"], once["tags"]) == ({"lr": 0.1}, ["t"])
    assert {"saved.txt", "config.yaml", "wandb-metadata.json", "wandb-summary.json"} <= set(once["files"])
    _sync(sdk_env, "--include-synced", *_recorded(sdk_env))
    assert sdk(_READ.format(project=project, id="off")) == once


def test_fragments_of_a_resumed_run_come_one_after_another(
    sdk: RunScript, sdk_env: dict[str, str], project: str
) -> None:
    """Two offline sessions under one id become one run whose steps go on."""
    for _ in range(2):
        sdk(_RECORD.format(project=project, id="two", rows=5, resume="allow"))
        _sync(sdk_env, "--no-include-synced", *_recorded(sdk_env))
    found: Any = sdk(_READ.format(project=project, id="two"))
    assert [step for step, _ in found["rows"]] == list(range(10))
    assert [loss for _, loss in found["rows"]] == [step / 7 for step in range(5)] * 2
