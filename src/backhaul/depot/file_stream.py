"""The `file_stream` request: numbered lines of a run's streams, and signs of life.

Body: `{"files": {NAME: {"offset": line number, "content": [line, …]}}, "uploaded": [name, …], "complete": bool,
"exitcode": int, "preempting": bool}`, every member optional; `{}` is a heartbeat. `uploaded` names files whose PUT was
acknowledged, wherever it went. `dropped` and `failed` of older engines say nothing that is kept.
"""

from __future__ import annotations

import json
from typing import Any

from backhaul.depot.model import SUMMARY, Batch, Delivery
from backhaul.depot.refusal import Refused
from backhaul.depot.store.lines import pack

ANSWER: dict[str, Any] = {"exitcode": None, "limits": {}}
"""An answer without `stopped` lets the script run on; empty limits leave the client's own."""

WRITER = "X-Wandb-Async-Client-Id"
"""The header in which one of several processes that write into one run says which it is."""

_HIGHEST_LINE = 1 << 53
_LONGEST_STREAM_NAME = 512
_LONGEST_WRITER = 128
_LONGEST_LINE = 16 << 20  # characters; official clients send up to 10 MiB


def parse(body: dict[str, Any], writer: str | None = None) -> Delivery:
    """What the request of a writer brings, its lines compressed. Refused with 400 when it has another shape."""
    if writer and len(writer) > _LONGEST_WRITER:
        raise Refused(f"file_stream: the id of a writer has at most {_LONGEST_WRITER} characters")
    files = {} if body.get("files") is None else body["files"]
    if not isinstance(files, dict):
        raise Refused("file_stream: 'files' must be an object")
    contents = {name: _content(name, part) for name, part in files.items()}
    summary = _last_line(contents.pop(SUMMARY, None))
    batches: dict[str, list[Batch]] = {name: pack(*part) for name, part in contents.items()}
    exit_code = body.get("exitcode")
    if isinstance(exit_code, (int, float)) and abs(exit_code) >= 1 << 63:
        raise Refused("file_stream: 'exitcode' is no exit code")
    return Delivery(
        batches=batches,
        summary=summary,
        complete=body.get("complete") is True,
        exit_code=exit_code if isinstance(exit_code, int) else None,
        preempting=body.get("preempting") is True,
        writer=writer or None,
        uploaded=_names(body.get("uploaded")),
    )


def _names(value: Any) -> tuple[str, ...]:
    """The names of files; a list of something else says nothing."""
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()


def _content(name: str, part: Any) -> tuple[int, list[str | None]]:
    """Offset and lines of one stream."""
    if len(name) > _LONGEST_STREAM_NAME or not isinstance(part, dict):
        raise Refused(f"file_stream: {name[:200]!r} must be a stream with 'offset' and 'content'")
    offset, content = part.get("offset", 0), part.get("content") or []
    if not isinstance(offset, int) or not 0 <= offset < _HIGHEST_LINE or not isinstance(content, list):
        raise Refused(f"file_stream: the 'offset' of {name!r} must be a line number, its 'content' a list of lines")
    lines: list[str | None] = content if set(map(type, content)) <= {str} else [_line(line) for line in content]
    longest = max((len(line) for line in lines if line), default=0)
    if longest > _LONGEST_LINE:
        raise Refused(f"file_stream: a line has {longest} characters; {_LONGEST_LINE} are allowed", 413)
    return offset, lines


def _line(line: Any) -> str | None:
    """A null is a line that is not sent; anything but text is kept as its JSON."""
    return line if line is None or isinstance(line, str) else json.dumps(line)


def _last_line(part: tuple[int, list[str | None]] | None) -> str | None:
    """The summary is one line that replaces the one before; several in one request mean that the last counts."""
    lines = [line for line in part[1] if line is not None] if part else []
    return lines[-1] if lines else None
