"""The version is that of the tag, and there is one without tags and without git."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version

from .conftest import git, tool

_NEXT = "0.2.0.dev"


def _checkout(folder: Path) -> Path:
    """The least that has a version."""
    folder.mkdir()
    root = Path(__file__).parents[2]
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (folder / name).write_bytes((root / name).read_bytes())
    return folder


def _committed(folder: Path) -> Path:
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "All of it")
    return folder


def _version(folder: Path) -> str:
    done = tool("hatchling", "metadata", "version", cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_is_that_of_the_tag(tmp_path: Path) -> None:
    """A commit after it is on the way to the next one."""
    checkout = _committed(_checkout(tmp_path / "checkout"))
    git(checkout, "tag", "v1.2.3")
    assert _version(checkout) == "1.2.3"
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "One more")
    assert _version(checkout).startswith("1.2.4.dev1+g")


def test_a_shallow_clone_without_tags_has_one(tmp_path: Path) -> None:
    """As machines make them that run the tests."""
    checkout = _committed(_checkout(tmp_path / "checkout"))
    git(checkout, "tag", "v1.2.3")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "One more")
    git(tmp_path, "clone", "--quiet", "--no-tags", "--depth", "1", checkout.as_uri(), "shallow")
    assert _version(tmp_path / "shallow").startswith(_NEXT)


def test_files_without_git_have_one(tmp_path: Path) -> None:
    """A downloaded archive of the repository."""
    assert _version(_checkout(tmp_path / "checkout")) == f"{_NEXT}0"


def test_the_command_tells_it() -> None:
    """What was installed, in a form that programs can compare."""
    told = subprocess.run([sys.executable, "-m", "backhaul", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == f"backhaul, version {version('backhaul')}\n"
    assert Version(version("backhaul")) >= Version(f"{_NEXT}0")
