"""Unmodified SDKs of four years against the depot: they log, resume, sync and bring artifacts, and read it all back.

Run by hand: `scripts/test -m soak tests/compat/test_sdk_matrix.py`. Each release gets an environment of its own from
the package registry, some minutes for all. `BACKHAUL_SDKS=FOLDER` keeps the environments for the next time, and
`BACKHAUL_SDK=VERSION` runs one release alone.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

_RELEASES = ("0.13.11", "0.15.12", "0.16.6", "0.17.9", "0.18.7", "0.19.11", "0.21.4", "0.24.2", "0.28.2", "0.31.0")
_SCRIPTS = Path(__file__).parents[2] / "scripts"

Program = Callable[..., Any]


def _sdks() -> ModuleType:
    """The module that knows which Python and which pins a release needs, with the releases that only this test has."""
    spec = importlib.util.spec_from_file_location("recorded_sdks", _SCRIPTS / "recorded_sdks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    known = module.SDKS
    module.SDKS = {"0.21.4": known["0.22.3"], "0.24.2": known["0.28.2"], **known}  # type: ignore[attr-defined]
    return module


@pytest.fixture(scope="module", params=[os.environ["BACKHAUL_SDK"]] if "BACKHAUL_SDK" in os.environ else _RELEASES)
def interpreter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the release."""
    kept = os.environ.get("BACKHAUL_SDKS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("sdks")
    made: Path = _sdks().environment(request.param, folder / request.param, {})
    return made


@pytest.fixture
def program(interpreter: Path, sdk_env: dict[str, str], tmp_path: Path) -> Program:
    """Runs a program, or with `module` a command of the release; JSON that a program prints last comes back parsed."""

    def run(text: str = "", *arguments: str, module: bool = False) -> Any:
        command = ["-m", "wandb", *arguments] if module else ["-c", textwrap.dedent(text), *arguments]
        done = subprocess.run(
            [str(interpreter), *command], env=sdk_env, cwd=tmp_path, capture_output=True, text=True, timeout=180,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        last = done.stdout.strip().rpartition("\n")[2]
        return None if module else json.loads(last)

    return run


@pytest.fixture
def project() -> str:
    """A project that no other test uses."""
    return f"m-{uuid4().hex[:12]}"


_LOG = """
    import json, sys, wandb
    project, name, mode, resume = sys.argv[1:5]
    run = wandb.init(project=project, id=name, mode=mode, resume=resume or None, config={"lr": 0.1}, tags=["t"])
    for number in range(5):
        run.log({"loss": number / 7, "nested": {"x": number}})
    with open("saved.txt", "w") as file:
        file.write("saved")
    run.save("saved.txt")
    run.finish()
    print(json.dumps({"version": wandb.__version__}))
"""

_READ = """
    import json, sys, wandb
    run = wandb.Api().run(sys.argv[1] + "/" + sys.argv[2])
    rows = [[row["_step"], row["loss"]] for row in run.scan_history(keys=["_step", "loss"])]
    sampled = [row["loss"] for row in run.history(pandas=False)]
    saved = run.file("saved.txt").download("got", replace=True).read()
    print(json.dumps({"rows": rows, "sampled": sampled, "state": run.state, "config": dict(run.config),
                      "loss": run.summary["loss"], "tags": run.tags, "saved": saved}))
"""


def _whole(rows: int) -> dict[str, Any]:
    """What must be read of a run that logged the five rows, once or again after a resume."""
    losses = [number % 5 / 7 for number in range(rows)]
    return {
        "rows": [[step, loss] for step, loss in enumerate(losses)],
        "sampled": losses,
        "state": "finished",
        "config": {"lr": 0.1},
        "loss": 4 / 7,
        "tags": ["t"],
        "saved": "saved",
    }


def test_what_is_logged_online_is_read_back(program: Program, project: str) -> None:
    """Rows by scanning and by sampling, config, summary, tags, state and a saved file."""
    program(_LOG, project, "one", "online", "")
    assert program(_READ, project, "one") == _whole(5)


def test_a_resumed_run_goes_on(program: Program, project: str) -> None:
    """The second session's steps follow the first's, and none is lost."""
    program(_LOG, project, "one", "online", "")
    program(_LOG, project, "one", "online", "must")
    assert program(_READ, project, "one") == _whole(10)


def test_an_offline_run_is_synced(program: Program, project: str, sdk_env: dict[str, str]) -> None:
    """The release's own sync brings what its offline run holds; doing it again changes nothing."""
    program(_LOG, project, "off", "offline", "")
    (folder,) = Path(sdk_env["WANDB_DIR"], "wandb").glob("offline-run-*")
    program("", "sync", str(folder), module=True)
    assert program(_READ, project, "off") == _whole(5)
    program("", "sync", "--include-synced", str(folder), module=True)
    assert program(_READ, project, "off") == _whole(5)


_ARTIFACT = """
    import json, pathlib, sys, wandb
    project = sys.argv[1]
    for content in ("first", "second"):
        pathlib.Path("data.txt").write_text(content)
        with wandb.init(project=project) as run:
            artifact = wandb.Artifact("data", type="dataset", metadata={"content": content})
            artifact.add_file("data.txt")
            artifact.add_reference("https://example.org/thing.bin", checksum=False)
            run.log_artifact(artifact, aliases=[content])
    found = {}
    with wandb.init(project=project) as run:
        for alias in ("latest", "first", "v1"):
            artifact = run.use_artifact("data:" + alias)
            path = artifact.get_path("data.txt").download() if hasattr(artifact, "get_path") else ""
            found[alias] = [artifact.version, artifact.metadata["content"], pathlib.Path(path).read_text()]
    print(json.dumps(found))
"""


def test_artifacts_are_logged_and_used(program: Program, project: str) -> None:
    """Two versions, their aliases, metadata, a reference, and the bytes by each name."""
    second = ["v1", "second", "second"]
    assert program(_ARTIFACT, project) == {"latest": second, "first": ["v0", "first", "first"], "v1": second}
