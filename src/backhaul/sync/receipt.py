"""The receipt: what was read back from the destination, and when, as a file that can be shown to others."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backhaul.errors import DiskFull, LedgerUnwritable, UsageError
from backhaul.runs.new_file import FULL, new_file
from backhaul.runs.stream import NUMBERED
from backhaul.sync.outcome import Quarantined
from backhaul.sync.signature import NotAKey, canonical, signed
from backhaul.sync.verify import Expected, Remote, config_values, last_step_of, plain

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
# <run id>-<the log's digest, its beginning>[suffix].json
_NAME = re.compile(r"(?P<run_id>.+)-[0-9a-f]{12}(-[a-z]+)?\.json")


@dataclass(frozen=True, slots=True)
class Receipt:
    """The evidence that a run was read back and equals its log.

    `log_digest` is the SHA-256 of the log as it was read, `log_size` its length in bytes; `verified_at` is UTC, ISO
    8601.
    """

    url: str
    entity: str
    project: str
    run_id: str
    log: Path
    log_size: int
    log_digest: str
    verified_at: str
    expected: Expected
    remote: Remote
    quarantined: Sequence[Quarantined] = ()
    left_out: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """The receipt's content."""
        return {
            "receipt": 1,
            "destination": {"url": self.url, "entity": self.entity, "project": self.project, "run_id": self.run_id},
            "log": {"path": str(self.log), "size": self.log_size, "sha256": self.log_digest},
            "verified_at": self.verified_at,
            "lines": {stream.name.lower(): self.remote.lines[stream] for stream in NUMBERED},
            "state": self.remote.state,
            "last_step": last_step_of(self.expected.last_line),
            "summary": plain(_loaded(self.remote.summary)),
            "config": plain(config_values(self.expected.config)),
            "quarantined": [item.as_json() for item in self.quarantined],
            "left_out": list(self.left_out),
            "artifacts": dict(sorted(self.expected.artifacts.items())),
            "files": {
                name: {"size": digest.size, "md5": digest.md5} for name, digest in sorted(self.expected.files.items())
            },
        }


def write_receipt(receipt: Receipt, state_folder: Path) -> Path:
    """Keep a receipt, signed with the user's key, under `state_folder`; whole and durable then.

    Raises DiskFull and LedgerUnwritable.
    """
    return keep_receipt(receipt.as_json(), state_folder)


def keep_receipt(document: Mapping[str, Any], state_folder: Path, suffix: str = "") -> Path:
    """Keep a receipt's content, signed with the user's key, at the place that belongs to it.

    Raises DiskFull and LedgerUnwritable.
    """
    there, digest = document["destination"], document["log"]["sha256"]
    host = _safe(there["url"].partition("://")[2])
    folder = state_folder / "receipts" / host / _safe(there["entity"]) / _safe(there["project"])
    path = folder / f"{_safe(there['run_id'])}-{digest[:12]}{suffix}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with new_file(path, replace=True) as file:
            file.write(canonical(signed(document, state_folder)) + b"\n")
    except NotAKey as error:
        raise LedgerUnwritable(f"The receipt {path} cannot be signed: {error.message}.", next=error.next) from error
    except OSError as error:
        message = f"The receipt {path} cannot be written: {error.strerror}."
        raise (DiskFull(message) if error.errno in FULL else LedgerUnwritable(message)) from error
    except UsageError as error:
        raise LedgerUnwritable(f"The receipt cannot be kept: {error.message}") from error
    return path


def logs_with_receipts(project: str, run_ids: Collection[str], state_folder: Path) -> Iterator[Path]:
    """The logs of which there are receipts under one of those names, from whatever server and entity.

    What is no receipt, or cannot be read, is passed over.
    """
    wanted = {_safe(run_id) for run_id in run_ids}
    for folder in sorted((state_folder / "receipts").glob(f"*/*/{_safe(project)}")):
        for name in _names_for(wanted, folder):
            try:
                yield Path(json.loads((folder / name).read_bytes())["log"]["path"])
            except (OSError, ValueError, KeyError, TypeError):
                continue


def _names_for(run_ids: Collection[str], folder: Path) -> list[str]:
    """The receipts of these runs in a folder that may hold ten thousand: by their names alone, which few pass."""
    try:
        with os.scandir(folder) as entries:
            names = [match for entry in entries if (match := _NAME.fullmatch(entry.name)) is not None]
    except OSError:
        return []
    return sorted(match[0] for match in names if match["run_id"] in run_ids)


def _loaded(text: str) -> Mapping[str, Any]:
    loaded = json.loads(text or "{}")
    return loaded if isinstance(loaded, dict) else {}


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name) or "_"
