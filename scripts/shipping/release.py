"""A release as one commit and its tag: the fragments in changelog.d/ become a section of CHANGELOG.md."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.version import InvalidVersion, Version

_UNRELEASED = re.compile(r"^## \[Unreleased\]", re.MULTILINE)


def obstacles(root: Path, version: str) -> Iterator[str]:
    """Why `version` cannot be released from the checkout `root` now, one sentence each."""
    try:
        is_plain = str(Version(version)) == version and Version(version).local is None
    except InvalidVersion:
        is_plain = False
    if not is_plain:
        yield f"{version} is no version such as 1.2.3 or 1.2.3rc1."
    elif any(Version(known) >= Version(version) for known in _released(root)):
        yield f"{version} is not newer than what has been released."
    if _git(root, "status", "--porcelain").strip():
        yield "There are changes that are not committed."
    if _UNRELEASED.search((root / "CHANGELOG.md").read_text(encoding="utf-8")):
        yield "CHANGELOG.md has an Unreleased section: move its lines to a fragment in changelog.d/."
    if not [path for path in (root / "changelog.d").glob("*.md") if path.name != "template.md"]:
        yield "changelog.d/ tells of no change."


def release(root: Path, version: str) -> None:
    """Write the section, commit, and tag. Raises CalledProcessError, and has tagged nothing then."""
    subprocess.run([sys.executable, "-m", "towncrier", "build", "--yes", "--version", version], cwd=root, check=True)
    _git(root, "add", "--all", "CHANGELOG.md", "changelog.d")
    _git(root, "commit", "--quiet", "--message", f"Version {version}")
    _git(root, "tag", "--annotate", f"v{version}", "--message", f"Backhaul {version}")


def _released(root: Path) -> list[str]:
    tags = _git(root, "tag", "--list", "v[0-9]*").split()
    return [tag.removeprefix("v") for tag in tags]


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="scripts/release", description=__doc__)
    parser.add_argument("version", help="such as 1.2.3")
    version, root = parser.parse_args().version, Path.cwd()
    found = list(obstacles(root, version))
    if found:
        print("\n".join(found), file=sys.stderr)
        return 1
    release(root, version)
    print(f"Tagged v{version}. To take it back: git tag -d v{version} && git reset --hard HEAD~1", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
