"""Wheel and source archive: the same bytes everywhere, and everything in them that a user needs."""

from __future__ import annotations

import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from .conftest import ROOT, Built, copied, dist

_PACKAGE = ROOT / "src" / "backhaul"
_NEVER_SHIPPED = ("__pycache__", ".pyc", "tests/", "offline-run", ".wandb")


def _names(built: Built) -> set[str]:
    with zipfile.ZipFile(built.wheel) as wheel:
        return set(wheel.namelist())


def test_building_again_elsewhere_gives_the_same_bytes(built: Built, tmp_path: Path) -> None:
    """Another folder, another day, another mask, another language: the same two archives."""
    checkout = copied(tmp_path / "elsewhere" / "deep")
    for path in checkout.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (1_234_567_890, 1_234_567_890))
    before = os.umask(0o077)
    try:
        again = dist(checkout, tmp_path / "dist", TZ="Pacific/Auckland", LC_ALL="C", PYTHONHASHSEED="7")
    finally:
        os.umask(before)
    for one, other in zip(built, again, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes(), one.name


def test_the_wheel_has_every_file_of_the_package_and_no_other(built: Built) -> None:
    """Templates, styles, scripts, schemas, queries, py.typed; the licence, and nothing of the tests."""
    names = _names(built)
    ours = {path for path in _PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    about = f"backhaul-{built.wheel.name.split('-')[1]}.dist-info"
    assert {name for name in names if not name.startswith(about)} == {
        str(path.relative_to(ROOT / "src")) for path in ours
    }
    assert {name.removeprefix(about) for name in names if name.startswith(about)} == {
        "/METADATA", "/RECORD", "/WHEEL", "/entry_points.txt", "/licenses/LICENSE",
    }  # fmt: skip
    assert [name for name in names for part in _NEVER_SHIPPED if part in name] == []


@pytest.mark.parametrize(
    "name", ["LICENSE", "pyproject.toml", "tests/conftest.py", "scripts/dist", "changelog.d/template.md", "SECURITY.md"]
)
def test_the_source_archive_has_what_its_user_works_with(built: Built, name: str) -> None:
    """Code, tests, scripts, texts: `scripts/test` works in it."""
    with tarfile.open(built.sdist) as archive:
        names = archive.getnames()
    assert f"{built.sdist.name.removesuffix('.tar.gz')}/{name}" in names


def test_the_checksums_are_those_that_sha256sum_reads(built: Built) -> None:
    """Beside the two files."""
    done = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=built.wheel.parent, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.count(": OK")) == (0, 2)
