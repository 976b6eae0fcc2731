"""The tutorials, and the how-to pages, do what they say: their blocks are typed to the letter, with the real SDK."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import RECORDED
from tests.conftest import StartDepot
from tests.pages import Reader
from tests.ports import port_for_later

# Other programs do the work, on a machine that may have much else to do.
pytestmark = pytest.mark.timeout(500)

_ROOT = Path(__file__).resolve().parents[2]
_TUTORIALS = sorted((_ROOT / "docs" / "tutorial").glob("*.md"))
_HOW_TO = sorted((_ROOT / "docs" / "how-to").glob("*.md"))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Somebody with an empty home, a stick, and a port of their own."""
    (tmp_path / "stick").mkdir()
    env = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "TMPDIR": str(tmp_path),
        "WANDB_ERROR_REPORTING": "false",
    }
    reading = Reader(tmp_path, env, {"/media/stick": str(tmp_path / "stick"), "8765": str(port_for_later())})
    yield reading
    reading.leave()


@pytest.mark.parametrize("page", _HOW_TO, ids=lambda page: page.stem)
def test_what_a_how_to_page_types_works(reader: Reader, start_depot: StartDepot, tmp_path: Path, page: Path) -> None:
    """With a server of their own at the address that the page names, and the runs that its reader has."""
    depot = start_depot(tmp_path / "depot")
    reader.places |= {"/scratch/me": str(tmp_path / "me"), "/scratch/runs": str(tmp_path / "runs")}
    reader.places |= {"https://wandb.example.org": depot.url}
    reader.env |= {"WANDB_BASE_URL": depot.url, "WANDB_API_KEY": depot.api_key, "RECORDED": str(RECORDED)}
    assert reader.carry_out(page) > 0 or "<!-- not run: " in page.read_text()


@pytest.mark.parametrize("page", _TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_does_what_it_says(reader: Reader, page: Path) -> None:
    """Whoever follows it sees what it shows, from the first block to the last."""
    assert reader.carry_out(page) > 5


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("```console\n$ echo 300 rows\n301 rows\n```", "shows"),
        ("```console\n$ echo 0 B\n12 KiB\n```", "shows"),
        ("```console\n$ echo 12 KiB\n0 B\n```", "shows"),
        ("<!-- differs: abcdefgh -->\n```console\n$ echo 12345678 87654321\nabcdefgh abcdefgh\n```", "shows"),
        ("```sh\nfalse\ntrue\n```", "ended with 1"),
        ("<!-- exits: 6 -->\n```sh\ntrue\n```", "ended with 0"),
        ("<!-- until Ctrl-C -->\n```console\n$ echo one\none two\n```", "ended after"),
        ("```sh\nsudo true\n```", "not for a test"),
        ("<!-- skipped -->\n```sh\ntrue\n```", "says nothing that a test understands"),
    ],
)
def test_a_page_that_does_not_do_what_it_says_is_told(reader: Reader, tmp_path: Path, text: str, problem: str) -> None:
    """The reader of these tests takes nothing on trust."""
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(AssertionError, match=problem):
        reader.carry_out(tmp_path / "page.md")


def test_what_may_differ_differs_and_a_word_is_known_again(reader: Reader, tmp_path: Path) -> None:
    """Times, sizes and named words need not be those of the page; a named word stands for what came, from then on."""
    (tmp_path / "page.md").write_text(
        "<!-- differs: abcdefgh, 7 -->\n```console\n$ echo 20260101_000000 3 KiB 7.5 s 12345678 9; echo more; echo end"
        "\n20251231_235959   1.2 MiB 1 s\nabcdefgh 7\n…\nend\n$ echo abcdefgh\nabcdefgh\n```\n"
        "```sh\nexport KEPT=1\nmkdir below\ncd below\n```\n```console\n$ echo $KEPT; basename $PWD; false\n1 below\n"
        "$ echo $?\n1\n```\n"
    )
    assert reader.carry_out(tmp_path / "page.md") == 3
    assert reader.words == {"abcdefgh": "12345678"}
