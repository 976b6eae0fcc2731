"""For `mkdocs`: lists the pages of a folder where the navigation says `folder/*.md`, as it does for the errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """The configuration, with each such entry replaced by the pages of that folder in order of their names."""
    config.nav = _expanded(config.nav, Path(config.docs_dir))
    return config


def _expanded(entries: list[Any], docs: Path) -> list[Any]:
    return [each for entry in entries for each in _pages(entry, docs)]


def _pages(entry: Any, docs: Path) -> list[Any]:
    if isinstance(entry, dict):
        return [{title: _expanded(below, docs) if isinstance(below, list) else below} for title, below in entry.items()]
    if not entry.endswith("/*.md"):
        return [entry]
    folder = (docs / entry).parent
    return [str(page.relative_to(docs)) for page in sorted(folder.glob("*.md")) if page.stem != "index"]
