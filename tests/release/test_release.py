"""scripts/release: one commit and its tag, with a section of the change log made of its fragments."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import copied, dist, git, tool


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone of which 1.2.0 was released."""
    checkout = copied(tmp_path / "checkout")
    (checkout / "CHANGELOG.md").write_text("# Changes\n\n<!-- releases, the newest first -->\n\n## [1.2.0]\n\nOld.\n")
    git(checkout, "init", "--quiet")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "All of it")
    git(checkout, "tag", "v1.2.0")
    return checkout


def _commit(checkout: Path, name: str, text: str) -> None:
    (checkout / name).write_text(text)
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", f"{name} changes")


def test_the_fragments_become_a_section_under_a_tag(repository: Path, tmp_path: Path) -> None:
    """The newest section comes first, in it each kind of change once, the whole in short before all; what is built has
    the tag's version.
    """
    for path in (repository / "changelog.d").glob("*.*.md"):
        path.unlink()
    _commit(repository, "changelog.d/one.added.md", "- One\n  thing.\n- Another.\n")
    _commit(repository, "changelog.d/two.added.md", "- Two.\n")
    _commit(repository, "changelog.d/mend.fixed.md", "- Three.\n")
    _commit(repository, "changelog.d/zero.highlights.md", "- All of it.\n")
    done = tool("shipping.release", "1.3.0", cwd=repository)
    assert done.returncode == 0, done.stderr
    text = (repository / "CHANGELOG.md").read_text()
    head, section, rest = text.partition("## [1.3.0] - ")
    assert head == "# Changes\n\n<!-- releases, the newest first -->\n\n"
    assert section
    date, _, body = rest.partition("\n")
    assert len(date) == len("2026-01-01")
    assert body == (
        "\n### In short\n\n- All of it.\n\n### Added\n\n- One\n  thing.\n- Another.\n- Two.\n\n### Fixed\n\n- Three.\n"
        "\n## [1.2.0]\n\nOld.\n"
    )
    assert git(repository, "describe", "--exact-match").strip() == "v1.3.0"
    assert git(repository, "status", "--porcelain") == ""
    assert sorted(path.name for path in (repository / "changelog.d").iterdir()) == ["template.md"]
    built = dist(repository, tmp_path / "dist")
    assert (built.wheel.name, built.sdist.name) == ("backhaul-1.3.0-py3-none-any.whl", "backhaul-1.3.0.tar.gz")


def test_what_stands_in_the_way_is_told_before_anything_changes(repository: Path) -> None:
    """All of it at once; nothing is written."""
    _commit(repository, "CHANGELOG.md", "## [Unreleased]\n\n- Forgotten.\n")
    (repository / "README.md").write_text("changed")
    done = tool("shipping.release", "1.2.0", cwd=repository)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["1.2.0", "There", "CHANGELOG.md"]
    assert git(repository, "tag").split() == ["v1.2.0"]
    assert tool("shipping.release", "1.3-final", cwd=repository).stderr.startswith("1.3-final is no version")
