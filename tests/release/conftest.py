"""Copies of the checkout without git, and what is built of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
_SCRIPTS = ROOT / "scripts"
# What a clone has; a working folder has more, which is not to be looked at.
_CLONED = (
    "src", "tests", "scripts", "docs", "benchmarks", "changelog.d", "mkdocs.yml", "pyproject.toml", ".gitignore",
    "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
)  # fmt: skip

Copy = Callable[[Path], Path]
Tool = Callable[..., subprocess.CompletedProcess[str]]


class Built(NamedTuple):
    """Wheel and source archive."""

    wheel: Path
    sdist: Path


def copied(target: Path) -> Path:
    """The files of a clone, without its git, at `target`."""
    target.mkdir(parents=True)
    for name in _CLONED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copyfile(source, target / name)
    return target


def tool(module: str, *arguments: object, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a module of scripts/ (or an installed one) in the folder `cwd`."""
    told = {name: value for name, value in os.environ.items() if name not in ("SOURCE_DATE_EPOCH", "GIT_DIR")}
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=cwd,
        env=told | {"PYTHONPATH": str(_SCRIPTS), "GIT_CONFIG_GLOBAL": os.devnull, **_AUTHOR, **env},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def dist(checkout: Path, out: Path, **env: str) -> Built:
    """What scripts/dist makes of a checkout."""
    done = tool("shipping.dist", out, cwd=checkout, **env)
    assert done.returncode == 0, done.stderr
    return Built(*map(Path, done.stdout.split()))


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as somebody without settings."""
    env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, **_AUTHOR}
    return subprocess.run(["git", *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


_AUTHOR = {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Wheel and source archive of this checkout."""
    folder = tmp_path_factory.mktemp("built")
    return dist(copied(folder / "checkout"), folder / "dist")
