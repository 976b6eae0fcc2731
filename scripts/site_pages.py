"""For `mkdocs`: lists the pages of a folder where the navigation says `folder/*.md`, as it does for the errors.

It also gives the site's search every message with the place that explains it (see docs/assets/pasted-messages.js).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from check_reference import inline_codes
from messages import DOING, messages

_SYMPTOMS = "troubleshooting"
# What `wandb` says, in the heading of a symptom and below it.
_SYMPTOM = re.compile(r"^### (.+)\n(?:\nAlso: (.+)\n)?", re.MULTILINE)

_of_symptoms: list[tuple[str, str, str]] = []


def on_config(config: Any) -> Any:
    """The configuration, with each such entry replaced by the pages of that folder in order of their names."""
    config.nav = _expanded(config.nav, Path(config.docs_dir))
    return config


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """The page as it is; the places of the symptoms are known now."""
    if page.file.name == _SYMPTOMS:
        symptoms = [item for section in page.toc for part in section.children for item in part.children]
        told = _SYMPTOM.findall(page.markdown)
        assert len(told) == len(symptoms)
        _of_symptoms[:] = [
            (said, item.title, f"{page.url}{item.url}")
            for item, texts in zip(symptoms, told, strict=True)
            for said in inline_codes(" ".join(texts))
        ]
    return html


def on_post_build(config: Any) -> None:
    """Writes the messages into the site, as a script: pages that are opened from a disk may fetch nothing."""
    told = [*_of_errors(), *_of_symptoms]
    script = f"window.pastedMessages = {json.dumps(told, ensure_ascii=False)};\n"
    Path(config.site_dir, "assets", "messages.js").write_text(script, encoding="utf-8")


def _of_errors() -> Iterator[tuple[str, str, str]]:
    for code, said in sorted(messages().items()):
        title, address = ("a request failed", "errors/index.html#a-request-failed")
        if code != DOING:
            title, address = code, f"errors/{code}.html"
        yield from ((text, title, address) for text in sorted(said))


def _expanded(entries: list[Any], docs: Path) -> list[Any]:
    return [each for entry in entries for each in _pages(entry, docs)]


def _pages(entry: Any, docs: Path) -> list[Any]:
    if isinstance(entry, dict):
        return [{title: _expanded(below, docs) if isinstance(below, list) else below} for title, below in entry.items()]
    if not entry.endswith("/*.md"):
        return [entry]
    folder = (docs / entry).parent
    return [str(page.relative_to(docs)) for page in sorted(folder.glob("*.md")) if page.stem != "index"]
