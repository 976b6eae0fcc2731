#!/usr/bin/env python3
"""Writes into each page of an error or finding the messages that the program gives it, so that a search finds them.

    scripts/messages.py            writes the lists
    scripts/messages.py --check    writes nothing; ends with 1 when a list is not that of the code

Messages are put together at run time. Read out of the code is what stands in it: `…` is what differs each time.
`scripts/check_docs.py` runs the check.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

from check_reference import error_classes

import backhaul
from backhaul import errors
from backhaul.doctor.finding import SEVERITIES

_ROOT = Path(__file__).resolve().parents[1]
_SOURCE = Path(backhaul.__file__).parent
_BEGIN, _END = "<!-- messages -->", "<!-- end of messages -->"
_LIST = re.compile(rf"{_BEGIN}\n.*?{_END}", re.DOTALL)
_DIFFERS = "…"
# A message of fewer letters is somebody else's words with a full stop behind them.
_FEWEST_LETTERS = 10
_MOST_FORMS = 12
# What a request is for begins each message about it: "Sending lines of … failed: …".
DOING = "doing"


def check_messages(root: Path) -> Iterator[str]:
    """The pages under `root` that do not have the messages of the code."""
    for path, wanted in _wanted(root):
        if not path.exists() or path.read_text(encoding="utf-8") != wanted:
            yield f"{path.relative_to(root)}: its messages are not those of the code; scripts/messages.py writes them"


def _wanted(root: Path) -> Iterator[tuple[Path, str]]:
    """Each page that has a list, or should have one, as it should be."""
    folder = root / "docs" / "errors"
    told = messages()
    for path in sorted(folder.glob("*.md")):
        if path.stem == "index":
            lines = told[DOING]
        elif path.stem in told:
            lines = told[path.stem]
        else:
            lines = frozenset()
        text = path.read_text(encoding="utf-8")
        if lines and _BEGIN not in text:
            text = f"{text.rstrip()}\n\n## Messages\n\n{_BEGIN}\n{_END}\n"
        shown = "".join(f"- {_code(line)}\n" for line in sorted(lines))
        yield path, _LIST.sub(lambda _, shown=shown: f"{_BEGIN}\n{shown}{_END}", text)  # type: ignore[misc]


def _code(line: str) -> str:
    return f"`` {line} ``" if "`" in line else f"`{line}`"


@cache
def messages() -> dict[str, frozenset[str]]:
    """By code: the messages of errors and findings, and under `doing` what requests are for."""
    modules = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(_SOURCE.rglob("*.py"))]
    codes = {kind.__name__: kind.code for kind in error_classes() if kind.__module__ == errors.__name__}
    codes = {**dict(_kinds_of(modules, codes)), **codes}
    found: dict[str, set[str]] = {DOING: set()}
    for module in modules:
        for code, text in _told_in(module, codes):
            if len(re.sub(r"[^A-Za-z]", "", text)) >= _FEWEST_LETTERS:
                found.setdefault(code, set()).add(text)
    return {code: frozenset(lines) for code, lines in found.items()}


def _kinds_of(modules: list[ast.Module], codes: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The classes that are one of the tree's in a room of their own, with the code that they have from it."""
    for node in (node for module in modules for node in module.body if isinstance(node, ast.ClassDef)):
        yield from (
            (node.name, codes[base.id]) for base in node.bases if isinstance(base, ast.Name) and base.id in codes
        )


def _told_in(module: ast.Module, codes: dict[str, str]) -> Iterator[tuple[str, str]]:
    functions = {node.name: node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)}
    for scope in [module, *functions.values(), *(n for n in ast.walk(module) if isinstance(n, ast.AsyncFunctionDef))]:
        forms = _Forms(module, scope, functions)
        for node in forms.own_nodes():
            if isinstance(node, ast.Assign) and forms.names_of(node) == [DOING]:
                yield from ((DOING, f"{text} failed: {_DIFFERS}") for text in forms.of(node.value))
            elif isinstance(node, ast.Call):
                yield from _told_by(node, codes, forms)
            elif isinstance(node, ast.Tuple):
                yield from _told_in_table(node)


def _told_by(call: ast.Call, codes: dict[str, str], forms: _Forms) -> Iterator[tuple[str, str]]:
    name = _name_of(call)
    if name in codes and call.args:
        yield from ((codes[name], text) for text in forms.of(call.args[0]))
    elif name == "Finding" and len(call.args) > 1 and isinstance(call.args[0], ast.Constant):
        code = str(call.args[0].value)
        assert code in SEVERITIES, code
        yield from ((code, text) for text in forms.of(call.args[1]))


def _told_in_table(entry: ast.Tuple) -> Iterator[tuple[str, str]]:
    """A code with its message."""
    match entry.elts:
        case [ast.Constant(value=str(code)), ast.Constant(value=str(text))] if code in SEVERITIES:
            yield code, text


class _Forms:
    """What the text of an expression may be, in one function of a module; `…` for whatever is not written there."""

    def __init__(self, module: ast.Module, scope: ast.AST, functions: dict[str, ast.FunctionDef]) -> None:
        self._module, self._scope, self._functions = module, scope, functions

    def own_nodes(self) -> Iterator[ast.AST]:
        """The nodes of the function, without those of functions inside it."""
        return _nodes_of(self._scope)

    def names_of(self, assignment: ast.Assign) -> list[str]:
        """The names that get a value."""
        return [target.id for target in assignment.targets if isinstance(target, ast.Name)]

    def of(self, node: ast.AST, depth: int = 0) -> list[str]:
        """Its forms, without doubles."""
        return list(dict.fromkeys(re.sub(rf"{_DIFFERS}+", _DIFFERS, form) for form in self._forms(node, depth)))

    def _forms(self, node: ast.AST, depth: int) -> list[str]:
        match node:
            case ast.Constant(value=str(text)):
                return [" ".join(text.splitlines())]
            case ast.JoinedStr(values=parts):
                return self._joined(parts, depth)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._joined([left, right], depth)
            case ast.IfExp(body=one, orelse=other):
                return self.of(one, depth) + self.of(other, depth)
            case ast.Name() if depth < 3:
                forms = [form for value in self._values_of(node) for form in self.of(value, depth + 1)]
                return forms or list(self._given(node.id, depth)) or [_DIFFERS]
            case ast.Call(func=ast.Name(id=name)) if name in self._functions and depth < 3:
                function = self._functions[name]
                within = _Forms(self._module, function, self._functions)
                returned = [n.value for n in within.own_nodes() if isinstance(n, ast.Return) and n.value is not None]
                return [form for value in returned for form in within.of(value, depth + 1)] or [_DIFFERS]
        return [_DIFFERS]

    def _joined(self, parts: list[ast.expr], depth: int) -> list[str]:
        each = [self._part(part, depth) for part in parts]
        forms = ["".join(chosen) for chosen in product(*each)]
        return forms if len(forms) <= _MOST_FORMS else [_DIFFERS]

    def _part(self, part: ast.expr, depth: int) -> list[str]:
        """What is put into a text is looked into where a function of the module makes it."""
        if isinstance(part, ast.FormattedValue):
            return self.of(part.value, depth) if isinstance(part.value, ast.Call) else [_DIFFERS]
        return self.of(part, depth)

    def _values_of(self, name: ast.Name) -> list[ast.expr]:
        """What the name may stand for: values that it got since it was used before, or as the module has it."""
        values: list[ast.expr] = []
        was_used = False
        for node in sorted(self.own_nodes(), key=lambda each: getattr(each, "lineno", 0)):
            if node is name:
                break
            if isinstance(node, ast.Assign) and self.names_of(node) == [name.id]:
                values = [node.value] if was_used else [*values, node.value]
                was_used = False
            was_used |= isinstance(node, ast.Name) and node.id == name.id and isinstance(node.ctx, ast.Load)
        in_module = (each for each in self._module.body if isinstance(each, ast.Assign))
        return values or [each.value for each in in_module if self.names_of(each) == [name.id]]

    def _given(self, parameter: str, depth: int) -> Iterator[str]:
        """The forms of what the functions of the module give this one for a parameter."""
        if not isinstance(self._scope, ast.FunctionDef):
            return
        names = [each.arg for each in self._scope.args.args]
        if parameter not in names:
            return
        place = names.index(parameter)
        for caller in self._functions.values():
            there = _Forms(self._module, caller, self._functions)
            for call in there.own_nodes():
                if isinstance(call, ast.Call) and _name_of(call) == self._scope.name and len(call.args) > place:
                    yield from there.of(call.args[place], depth + 1)


def _name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _nodes_of(scope: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _nodes_of(child)


def main() -> int:
    """What the options say; the exit code."""
    if "--check" in sys.argv[1:]:
        problems = list(check_messages(_ROOT))
        print("\n".join(problems) or "every page has its messages")
        return 1 if problems else 0
    for path, text in _wanted(_ROOT):
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
