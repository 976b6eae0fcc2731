"""A stranger's program has types: mypy in its strict mode takes the installed wheel as it is."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .conftest import Built

_PROGRAM = """
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import backhaul


def told(event: backhaul.Event) -> None:
    if event.kind is backhaul.EventKind.FINISHED and event.outcome is not None:
        print(event.path.name, event.outcome.state.value)


def rows(folder: Path) -> Iterator[float]:
    run = backhaul.open_run(folder)
    for row in run.history():
        yield float(row["loss"])
    for damage in run.damage:
        print(damage.kind is backhaul.DamageKind.TORN, damage.offset)


def home(folder: Path) -> int:
    try:
        report: backhaul.Report = backhaul.sync([folder], to="depot", jobs=2, on_event=told)
        report = backhaul.verify(folder, deep=True)
    except backhaul.BackhaulError as error:
        print(error.code, error.message, error.safe, error.next)
        return error.exit_code
    lost: list[backhaul.Outcome] = [run for run in report.runs if run.state is not backhaul.RunState.VERIFIED]
    print(backhaul.__version__, len(lost))
    return report.exit_code
"""
_WRONG = {
    "backhaul.sync(1)\n": "arg-type",
    "number: int = backhaul.open_run('x').history()\n": "assignment",
    "backhaul.sync_all('x')\n": "attr-defined",
    "backhaul.verify('x').exit_code.upper()\n": "attr-defined",
}


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but what the wheel unpacks to."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(built.wheel) as wheel:
        wheel.extractall(folder)
    return folder


def _strict(program: Path, installed: Path) -> subprocess.CompletedProcess[str]:
    # Without what is installed beside it: our checkout must not answer in the wheel's place.
    look_here = {"MYPYPATH": "", "PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={program.parent}/cache"]
    fake = program.parent / "python"
    fake.write_text(f'#!/bin/sh\nPYTHONPATH={installed} exec {sys.executable} -S "$@"\n')
    fake.chmod(0o755)
    return subprocess.run(
        [*command, f"--python-executable={fake}", str(program)],
        cwd=program.parent, env=look_here, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_program_that_uses_all_of_it_is_typed(installed: Path, tmp_path: Path) -> None:
    """Every name of the public API, none of it `Any`; what is wrong is told as wrong."""
    (program := tmp_path / "program.py").write_text(_PROGRAM)
    done = _strict(program, installed)
    assert done.returncode == 0, done.stdout + done.stderr
    program.write_text("import backhaul\n" + "".join(_WRONG))
    done = _strict(program, installed)
    found = [line.rpartition("[")[2].rstrip("]") for line in done.stdout.splitlines() if ": error:" in line]
    assert found == list(_WRONG.values()), done.stdout
