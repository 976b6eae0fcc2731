"""Programs that use the unmodified SDK, as users write them, in processes of their own."""

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

RunScript = Callable[..., Any]
Program = Callable[..., Any]

_SCRIPTS = Path(__file__).parents[2] / "scripts"
INSTALLED = "installed"
"""Stands for the release in the tests' own environment."""


@pytest.fixture
def sdk(sdk_env: dict[str, str], tmp_path: Path) -> RunScript:
    """Runs a script under the real SDK against the depot; what it prints last is JSON and comes back parsed."""

    def run(script: str, **env: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            env=sdk_env | env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        last = done.stdout.strip().rpartition("\n")[2]
        return json.loads(last) if last.startswith(("{", "[")) else last

    return run


@pytest.fixture
def project() -> str:
    """A project that no other test uses."""
    return f"c-{uuid4().hex[:12]}"


def _sdks() -> ModuleType:
    """The module that knows which Python and which pins a release needs."""
    spec = importlib.util.spec_from_file_location("recorded_sdks", _SCRIPTS / "recorded_sdks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def interpreter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the release that the test names."""
    if request.param == INSTALLED:
        return Path(sys.executable)
    kept = os.environ.get("BACKHAUL_SDKS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("sdks")
    made: Path = _sdks().environment(request.param, folder / request.param, {})
    return made


@pytest.fixture
def program(interpreter: Path, sdk_env: dict[str, str], tmp_path: Path) -> Program:
    """Runs a program, or with `module` a command of the release; JSON that a program prints last comes back parsed.

    Both names of the setting for frequent system metrics are given: it changed with 0.18.
    """
    sampling = {"WANDB__STATS_SAMPLE_RATE_SECONDS": "0.5", "WANDB__STATS_SAMPLES_TO_AVERAGE": "1",
                "WANDB__STATS_SAMPLING_INTERVAL": "0.5", "WANDB_X_STATS_SAMPLING_INTERVAL": "0.5",
                "WANDB_CONSOLE": "wrap"}  # fmt: skip

    def run(text: str = "", *arguments: str, module: bool = False, **env: str) -> Any:
        command = ["-m", "wandb", *arguments] if module else ["-c", textwrap.dedent(text), *arguments]
        done = subprocess.run(
            [str(interpreter), *command], env=sdk_env | sampling | env, cwd=tmp_path, capture_output=True, text=True,
            timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        last = done.stdout.strip().rpartition("\n")[2]
        return None if module else json.loads(last)

    return run
