"""The receipt: what was read back from the destination, and when, as a file that can be shown to others."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backhaul.errors import DiskFull
from backhaul.runs.new_file import sync_folder
from backhaul.runs.rows import NUMBERED
from backhaul.sync.outcome import Quarantined
from backhaul.sync.verify import Expected, Remote

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


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

    def as_json(self) -> dict[str, Any]:
        """The receipt's content."""
        return {
            "receipt": 1,
            "destination": {"url": self.url, "entity": self.entity, "project": self.project, "run_id": self.run_id},
            "log": {"path": str(self.log), "size": self.log_size, "sha256": self.log_digest},
            "verified_at": self.verified_at,
            "lines": {stream.name.lower(): self.remote.lines[stream] for stream in NUMBERED},
            "state": self.remote.state,
            "summary": _loaded(self.remote.summary),
            "config_keys": sorted(_loaded(self.remote.config)),
            "quarantined": [item.as_json() for item in self.quarantined],
            "artifacts": dict(sorted(self.expected.artifacts.items())),
            "files": {
                name: {"size": digest.size, "md5": digest.md5} for name, digest in sorted(self.expected.files.items())
            },
        }


def write_receipt(receipt: Receipt, state_folder: Path) -> Path:
    """Keep a receipt under `state_folder`; whole and durable when this returns. Raises DiskFull."""
    host = _safe(receipt.url.partition("://")[2])
    folder = state_folder / "receipts" / host / _safe(receipt.entity) / _safe(receipt.project)
    path = folder / f"{_safe(receipt.run_id)}-{receipt.log_digest[:12]}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(path, json.dumps(receipt.as_json(), indent=2, ensure_ascii=False).encode())
    except OSError as error:
        raise DiskFull(f"The receipt {path} cannot be written: {error.strerror or error}.") from error
    return path


def _write_whole(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _loaded(text: str) -> Mapping[str, Any]:
    loaded = json.loads(text or "{}")
    return loaded if isinstance(loaded, dict) else {}


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name) or "_"
