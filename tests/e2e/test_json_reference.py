"""The page on JSON documents tells every key that a command prints: held against the documents themselves."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import Backhaul, copy_of

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md"
# Objects whose keys are names that the user chose, or words that stand in another column.
_FREE = frozenset({"damaged", "left_out"})


@pytest.fixture(scope="module")
def sections() -> dict[str, set[str]]:
    """The words that each section tells as code, and the keys of its example."""
    parts = re.split(r"^##+ (.+)$", _PAGE.read_text(), flags=re.MULTILINE)
    return {
        heading: set(re.findall(r"`([^`\n]+)`", text)) | set(re.findall(r'"(\w+)":', text))
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }


@pytest.fixture
def backhaul(sdk_env: dict[str, str], tmp_path: Path) -> Backhaul:
    """Two runs, one whole and one killed, beside an empty log."""
    for name in ("0.31.0", "0.31.0-killed"):
        copy_of(name, tmp_path)
    empty = tmp_path / "wandb" / "offline-run-20260101_000000-nothing0"
    empty.mkdir()
    (empty / "run-nothing0.wandb").touch()
    return Backhaul(sdk_env, tmp_path)


def _keys(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield key
            if key not in _FREE:
                yield from _keys(value)
    elif isinstance(document, list):
        for each in document:
            yield from _keys(each)


def _untold(document: Any, told: set[str]) -> set[str]:
    return set(_keys(document)) - told


def test_every_key_of_a_document_is_told_in_its_section(
    backhaul: Backhaul, sections: dict[str, set[str]], tmp_path: Path
) -> None:
    """A program that reads a document finds each of its keys in the reference."""
    run_keys = sections["sync"]
    documents = {
        "status": backhaul("status", "wandb", "--json").document,
        "doctor": backhaul("doctor", "wandb", "--json").document,
        "sync": backhaul("sync", "wandb", "--json").document,
        "clean": backhaul("clean", "wandb", "--dry-run", "--json").document,
        "repair": backhaul("repair", copy_of("0.31.0-killed", tmp_path / "hurt"), "--json").document,
        "pack": backhaul("pack", "wandb", "-o", "runs.tar.zst", "--json").document,
        "unpack": backhaul("unpack", "runs.tar.zst", "there", "--json").document,
        "bundles": {"bundles": backhaul("status", "runs.tar.zst", "--json").document["bundles"]},
        "queue": backhaul("queue", "rebuild", "wandb", "--json") and backhaul("queue", "list", "--json").document,
        "receipt import": backhaul("receipt", "import", backhaul.state / "receipts", "--json").document,
    }
    untold = {
        heading: missing
        for heading, document in documents.items()
        if (missing := _untold(document, sections[heading] | run_keys | sections["bundles"]))
    }
    assert untold == {}


def test_every_key_of_a_line_is_told(backhaul: Backhaul, sections: dict[str, set[str]]) -> None:
    """The lines of `--json-lines`, each with its kind; the last one has the document."""
    shutil.rmtree(backhaul.cwd / "wandb" / "offline-run-20260101_000000-nothing0")
    lines = [json.loads(line) for line in backhaul("sync", "wandb", "--json-lines", "--force").stdout.splitlines()]
    told = sections["JSON lines"] | sections["sync"]
    assert {each["event"] for each in lines} - {"report"} <= told
    assert set().union(*(_untold(each, told) for each in lines)) == set()
