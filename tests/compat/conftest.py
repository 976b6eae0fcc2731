"""Programs that use the unmodified SDK, as users write them, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

RunScript = Callable[..., Any]


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
            timeout=120,
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
