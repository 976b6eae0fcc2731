"""The manual pages are those of the program, and the formatters have nothing to complain of."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PAGES = sorted((_ROOT / "man" / "man1").glob("*.1"))


def _said(*command: object) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts" / "man_pages.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_pages_are_as_the_program_is_and_the_wheel_has_them() -> None:
    """A page that is out of date, or that nobody can find, is none."""
    checked = _check(_ROOT)
    assert (checked.returncode, checked.stdout) == (0, "")
    wheel = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["shared-data"]["man/man1"] == "share/man/man1"


def test_a_page_that_differs_is_missing_or_is_too_much_is_told(tmp_path: Path) -> None:
    """The check finds each of the three, and names the page."""
    for folder in ("scripts", "man", "docs/reference"):
        shutil.copytree(_ROOT / folder, tmp_path / folder)
    pages = tmp_path / "man" / "man1"
    (pages / "backhaul-sync.1").write_text((pages / "backhaul-sync.1").read_text().replace("deadline", "dead-line"))
    (pages / "backhaul-show.1").unlink()
    (pages / "backhaul-fetch.1").write_text("")
    checked = _check(tmp_path)
    assert checked.returncode == 1
    assert [line.split()[0] for line in checked.stdout.splitlines()] == [
        f"man/man1/backhaul-{name}.1" for name in ("fetch", "show", "sync")
    ]


def test_mandoc_and_groff_find_nothing_wrong() -> None:
    """Both formatters of manual pages are asked with all their warnings; a date is not given, on purpose."""
    lint = _said("mandoc", "-T", "lint", "-W", "warning", *_PAGES).splitlines()
    assert [line for line in lint if "missing date" not in line] == []
    assert len(lint) == len(_PAGES)
    assert "".join(_said("groff", "-man", "-ww", "-z", "-K", "utf8", page) for page in _PAGES) == ""


@pytest.mark.parametrize("option", ["--deadline SECONDS", "--only-artifacts NAME[:ALIAS,…]", "-e, --entity NAME"])
def test_an_option_stands_in_the_page_as_it_is_typed(option: str) -> None:
    """What is shown can be copied: dashes are dashes."""
    shown = _said("mandoc", "-T", "utf8", "-O", "width=200", _ROOT / "man" / "man1" / "backhaul-sync.1")
    assert option in [line.strip() for line in "".join(_without_overstrikes(shown)).splitlines()]


def _without_overstrikes(text: str) -> list[str]:
    """The letters of a page for a terminal, on which bold is a letter struck twice."""
    letters: list[str] = []
    for mark in text:
        if mark == "\b":
            letters.pop()
        else:
            letters.append(mark)
    return letters
