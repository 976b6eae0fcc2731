"""Texts that a Python file can build: literals, and what is made of them by +, %, f-strings, format and replace.

The client glues some documents together from pieces that depend on what the server can do. So a file is run twice in a
very small interpreter that knows strings only: once always taking the longer of two ways (every optional piece is
in), once the shorter. What it cannot know becomes a `HOLE`, which does not parse as GraphQL, so that a document with an
unknown piece is reported and not guessed at.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

HOLE = "\x00"
# A list of texts is kept as one text in which each item has this before it, so that lists grow as texts do.
_ITEM = "\x03"
_PERCENT = re.compile(r"%[sdr]")
_BRACES = re.compile(r"\{(\w*)\}")

_RETURNED = "return"

Scope = dict[str, str]
Pick = Callable[[str, str], str]


def longer(one: str, other: str) -> str:
    """The text of the way that has more in it."""
    return one if len(one) >= len(other) else other


def shorter(one: str, other: str) -> str:
    """The text of the way that has less in it."""
    return one if len(one) < len(other) else other


def module_constants(tree: ast.Module) -> Scope:
    """The string constants that a module or one of its classes names at its top level, by bare name."""
    reader = _Interpreter(longer, {})
    for body in [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]:
        for statement in body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                reader.run([statement], reader.names)
    return {name: text for name, text in reader.names.items() if HOLE not in text}


def module_functions(tree: ast.Module, known: Mapping[str, str], pick: Pick) -> Scope:
    """What the functions and methods of a module return where that is one known text, by ``name()``."""
    reader = _Interpreter(pick, known)
    reader.run(tree.body, reader.names)
    return {f"{name}()": text for name, text in reader.returned.items() if HOLE not in text}


def texts(tree: ast.Module, known: Mapping[str, str], pick: Pick) -> Iterator[str]:
    """Every text that the module can build by one of the two ways; ``known`` holds what other modules name."""
    reader = _Interpreter(pick, known)
    reader.run(tree.body, reader.names)
    yield from reader.seen


@dataclass
class _Interpreter:
    pick: Pick
    known: Mapping[str, str]
    names: Scope = field(default_factory=dict)
    seen: dict[str, None] = field(default_factory=dict)
    returned: Scope = field(default_factory=dict)

    def run(self, statements: list[ast.stmt], scope: Scope) -> None:
        for statement in statements:
            self._statement(statement, scope)

    def _statement(self, node: ast.stmt, scope: Scope) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node, dict(scope))
            case ast.ClassDef():
                self.run(node.body, scope)
            case ast.If():
                self._look(node.test, scope)
                self._either(node.body, node.orelse, scope)
            case ast.For() | ast.AsyncFor() | ast.While() | ast.With() | ast.AsyncWith():
                self._loop(node, scope)
            case ast.Try():
                handled = [statement for handler in node.handlers for statement in handler.body]
                self.run([*node.body, *handled, *node.orelse, *node.finalbody], scope)
            case ast.Match():
                for case in node.cases:
                    self.run(case.body, scope)
            case _:
                self._simple(node, scope)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        self._look(node.args, scope)
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                scope[argument.arg] = HOLE
        scope.pop(_RETURNED, None)
        self.run(node.body, scope)
        if _RETURNED in scope:
            self.returned.setdefault(node.name, scope[_RETURNED])

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith, scope: Scope) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr | ast.withitem):
                self._look(child, scope)
        self.run([*node.body, *getattr(node, "orelse", [])], scope)

    def _either(self, body: list[ast.stmt], orelse: list[ast.stmt], scope: Scope) -> None:
        one, other = dict(scope), dict(scope)
        self.run(body, one)
        self.run(orelse, other)
        for name in one.keys() | other.keys():
            ways = [way[name] for way in (one, other) if name in way]
            scope[name] = ways[0] if len(ways) == 1 else self.pick(ways[0], ways[1])

    def _simple(self, node: ast.stmt, scope: Scope) -> None:
        value = getattr(node, "value", None)
        if isinstance(node, ast.Expr):
            self._append(node.value, scope)
        if isinstance(value, ast.expr):
            text = self._text(_inside_wrapper(value), scope)
            if isinstance(node, ast.Return) and text is not None:
                scope[_RETURNED] = self.pick(scope.get(_RETURNED, text), text)
            for target in _targets(node):
                self._assign(node, target, text, scope)
        self._look(node, scope)

    def _assign(self, node: ast.stmt, target: str, text: str | None, scope: Scope) -> None:
        if isinstance(node, ast.AugAssign) and text is not None:
            text = scope.get(target, HOLE) + text
        if text is None:
            scope.pop(target, None)
        else:
            scope[target] = text
            self.seen.setdefault(text)

    def _append(self, node: ast.expr, scope: Scope) -> None:
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[item]) if name in scope:
                scope[name] += _ITEM + self._piece(item, scope)

    def _look(self, node: ast.AST, scope: Scope) -> None:
        """Notes the largest texts inside a statement or expression."""
        if isinstance(node, ast.expr):
            text = self._text(node, scope)
            if text is not None and not text.startswith(_ITEM):
                self.seen.setdefault(text)
                return
        for child in ast.iter_child_nodes(node):
            self._look(child, scope)

    def _text(self, node: ast.expr, scope: Scope) -> str | None:
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return scope.get(name, self.known.get(name))
            case ast.JoinedStr(values=parts):
                return "".join(self._piece(part, scope) for part in parts)
            case ast.FormattedValue(value=inner):
                return self._text(inner, scope)
            case ast.IfExp(body=body, orelse=orelse):
                return self.pick(self._piece(body, scope), self._piece(orelse, scope))
            case ast.BinOp(left=left, op=operation, right=right):
                return self._joined(left, operation, right, scope)
            case ast.Call():
                return self._call(node, scope)
            case ast.List(elts=items) if items:
                return "".join(_ITEM + self._piece(item, scope) for item in items)
        return None

    def _joined(self, left: ast.expr, operation: ast.operator, right: ast.expr, scope: Scope) -> str | None:
        if isinstance(operation, ast.Mod):
            return self._percent(left, right, scope)
        one, other = self._text(left, scope), self._text(right, scope)
        if not isinstance(operation, ast.Add) or (one is None and other is None):
            return None
        return (HOLE if one is None else one) + (HOLE if other is None else other)

    def _call(self, node: ast.Call, scope: Scope) -> str | None:
        match node.func:
            case ast.Name(id=name):
                return self._called(name)
            case ast.Attribute(value=owner, attr=name):
                return self._method(owner, name, node, scope) or self._called(name)
        return None

    def _piece(self, node: ast.expr, scope: Scope) -> str:
        text = self._text(node, scope)
        return HOLE if text is None else text

    def _called(self, name: str) -> str | None:
        return self.returned.get(name, self.known.get(f"{name}()"))

    def _percent(self, left: ast.expr, right: ast.expr, scope: Scope) -> str | None:
        template = self._text(left, scope)
        if template is None:
            return None
        pieces = right.elts if isinstance(right, ast.Tuple) else [right]
        waiting = iter([self._piece(piece, scope) for piece in pieces])
        return _PERCENT.sub(lambda _: next(waiting, HOLE), template)

    def _method(self, owner: ast.expr, method: str, call: ast.Call, scope: Scope) -> str | None:
        if method == "dedent" and call.args:
            inner = self._text(call.args[0], scope)
            return None if inner is None else textwrap.dedent(inner)
        template = self._text(owner, scope)
        if template is None:
            return None
        if method == "replace" and len(call.args) == 2:
            return template.replace(self._piece(call.args[0], scope), self._piece(call.args[1], scope))
        if method == "format":
            return self._format(template, call, scope)
        if method == "join" and call.args:
            return self._piece(call.args[0], scope).removeprefix(_ITEM).replace(_ITEM, template)
        return template if method in {"strip", "lstrip", "rstrip"} else None

    def _format(self, template: str, call: ast.Call, scope: Scope) -> str:
        waiting = iter([self._piece(arg, scope) for arg in call.args])
        named = {word.arg: self._piece(word.value, scope) for word in call.keywords if word.arg}
        filled = template.replace("{{", "\x01").replace("}}", "\x02")
        filled = _BRACES.sub(lambda m: named.get(m[1], HOLE) if m[1] else next(waiting, HOLE), filled)
        return filled.replace("\x01", "{").replace("\x02", "}")


def _targets(node: ast.stmt) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id
        elif isinstance(target, ast.Attribute):
            yield target.attr


def _inside_wrapper(node: ast.expr) -> ast.expr:
    """``gql("…")`` names the same text as ``"…"``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "gql" and node.args:
        return node.args[0]
    return node
