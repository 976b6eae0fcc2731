"""What `logs/debug.log` of a run still says when its log says nothing: SDK version, config and its updates.

The SDK writes there, in Python's own notation, the config that it was started with (``config: {…}`` after "wandb.init
called with") and each update (``config_cb KEY VALUE DATA``). Seen so from SDK 0.12 to 0.31. Each value is read by
itself, so that one which no program can read back, such as ``<object at 0x7f>``, costs only itself.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MOST_BYTES = 8 << 20
_VERSION = re.compile(r"Current SDK version is ([\w.+-]{1,64})")
_CONFIG = re.compile(r"^config: (\{.*\})$")
_UPDATE = re.compile(r"config_cb None None (\{.*\})$")
_ONE_KEY = re.compile(r"config_cb (\w+) (.+) None$")
# A text as it is, or what `repr` says of an object that it cannot write.
_TEXT_OR_OBJECT = re.compile(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|<[^<>]*>""")
_OBJECT = "object_without_notation"
_FLOATS = {"nan": float("nan"), "inf": float("inf")}
# `repr` names these around the one literal that they hold; numpy's scalars are ``np.float32(1.5)``.
_WRAPPERS = frozenset({"PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Decimal", "UUID"})
_NUMPY = frozenset({"np", "numpy"})


@dataclass(slots=True)
class DebugLog:
    """What was found: `config` is None when none of it could be read; `unread` has a sentence for each value lost."""

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
        _add(_parsed(match[1]), found)
    elif match := _ONE_KEY.search(line):
        _add(_parsed(f"{{{match[1]!r}: {match[2]}}}"), found)


def _parsed(text: str) -> ast.expr | None:
    """The notation taken apart; None when it is none of Python's."""
    try:
        tree = ast.parse(_TEXT_OR_OBJECT.sub(lambda match: match[1] or _OBJECT, text), mode="eval")
        return _Literals().visit(tree.body)  # type: ignore[no-any-return]
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


class _Literals(ast.NodeTransformer):
    """Makes literals of what `repr` writes otherwise: nan and inf, numpy's scalars, paths."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Constant(_FLOATS[node.id]), node) if node.id in _FLOATS else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        return node.args[0] if _is_wrapper(node.func) and len(node.args) == 1 and not node.keywords else node


def _is_wrapper(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return isinstance(function.value, ast.Name) and function.value.id in _NUMPY
    return isinstance(function, ast.Name) and function.id in _WRAPPERS


def _add(tree: ast.expr | None, found: DebugLog) -> None:
    if not isinstance(tree, ast.Dict):
        found.unread.append("a line of the config is written as no program can read it back")
        return
    members = _members(tree, "", found.unread)
    if members or not tree.keys:
        found.config = (found.config or {}) | members


_UNREAD = object()


def _members(tree: ast.Dict, prefix: str, unread: list[str]) -> dict[str, Any]:
    """The values of a dict that can be read; a sentence for each other one goes into `unread`."""
    members: dict[str, Any] = {}
    for key, value in zip(tree.keys, tree.values, strict=True):
        # `repr` writes no `**`, which has no key.
        label = _UNREAD if key is None else _literal(key)
        name = str(label)
        if label is _UNREAD:
            place = f"`{prefix[:-1]}` in the config" if prefix else "the config"
            unread.append(f"a key of {place} is written as no program can read it back")
        elif isinstance(value, ast.Dict):
            members[name] = _members(value, f"{prefix}{name}.", unread)
        elif (found := _literal(value)) is not _UNREAD:
            members[name] = found
        else:
            unread.append(f"the config value `{prefix}{name}` is written as no program can read it back")
    return members


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return _UNREAD
