"""What `logs/debug.log` of a run still says when its log says nothing: SDK version, config and its updates.

The SDK writes there, in Python's own notation, the config that it was started with (``config: {…}`` after "wandb.init
called with") and each update (``config_cb KEY VALUE DATA``). Seen so from SDK 0.12 to 0.31.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MOST_BYTES = 8 << 20
_VERSION = re.compile(r"Current SDK version is (\S+)")
_CONFIG = re.compile(r"^config: (\{.*\})$")
_UPDATE = re.compile(r"config_cb None None (\{.*\})$")
_ONE_KEY = re.compile(r"config_cb (\w+) (.+) None$")
_FLOATS = {"nan": float("nan"), "inf": float("inf")}


@dataclass(slots=True)
class DebugLog:
    """What was found: `config` is None when no config line could be read."""

    sdk_version: str = ""
    config: dict[str, Any] | None = None
    unread: list[str] = field(default_factory=list)


def read_debug_log(path: Path) -> DebugLog:
    """Read the first 8 MiB of a debug log; a file that is not there or cannot be read says nothing."""
    found = DebugLog()
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode(errors="replace")
    except OSError:
        return found
    for line in text.splitlines():
        _take(line, found)
    if found.config is not None:
        found.config.pop("_wandb", None)
    return found


def _take(line: str, found: DebugLog) -> None:
    if match := _VERSION.search(line):
        found.sdk_version = match[1]
    elif (match := _CONFIG.search(line)) or (match := _UPDATE.search(line)):
        _add(_literal(match[1]), found)
    elif match := _ONE_KEY.search(line):
        value = _literal(match[2])
        _add({match[1]: value} if value is not _UNREAD else _UNREAD, found)


def _add(value: Any, found: DebugLog) -> None:
    if isinstance(value, dict):
        found.config = (found.config or {}) | {str(key): item for key, item in value.items()}
    else:
        found.unread.append("a config value is written as no program can read it back")


_UNREAD = object()


class _Floats(ast.NodeTransformer):
    """`repr` writes nan and inf as names, which no literal has."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Constant(_FLOATS[node.id]), node) if node.id in _FLOATS else node


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(_Floats().visit(ast.parse(text, mode="eval")))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return _UNREAD
