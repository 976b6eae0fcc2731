"""The GraphQL documents of a release: found in its files, parsed, and completed with the fragments they need."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

from .sources import Release
from .strings import HOLE, longer, module_constants, module_functions, shorter, texts

_LOOKS_LIKE_GRAPHQL = re.compile(r"^\s*(?:#[^\n]*\n\s*)*(?:query|mutation|fragment)\b\s*\w*\s*(?:\(|\{|on\b)")
_FRAGMENT = re.compile(r"\bfragment (\w+) on")
_NAME = re.compile(r"\b(?:query|mutation|fragment)\s+(\w+)")
# Marks that the client itself replaces before it sends: a text that still has one is a template, not a document.
_TEMPLATE_MARK = re.compile(r"(?<![\w$])_[A-Za-z]+(?:_[A-Za-z]+)*_(?!\w)|%s")


class _StillATemplate(ValueError):
    """The text has a place that only the running client fills."""


@dataclass(frozen=True)
class Document:
    """One operation with every fragment it needs, as one release holds it in one file."""

    version: str
    path: str
    name: str
    node: DocumentNode


@dataclass(frozen=True)
class Unread:
    """A text that looks like an operation and could not be made into one; ``reason`` says why."""

    version: str
    path: str
    name: str
    reason: str


def documents_of(release: Release) -> tuple[list[Document], list[Unread]]:
    """The operations of a release, each once, and the texts that look like one but stayed templates."""
    parsed, unread = _parse_all(release)
    fragments = _fragments(node for _, node in parsed)
    found: dict[str, Document] = {}
    for path, node in parsed:
        for operation in node.definitions:
            if isinstance(operation, OperationDefinitionNode):
                whole = _completed(operation, node, fragments)
                name = operation.name.value if operation.name else _first_field(operation)
                found.setdefault(print_ast(whole), Document(release.version, path, name, whole))
    read = {(path, name) for path, node in parsed for name in _NAME.findall(print_ast(node))}
    return list(found.values()), [text for text in dict.fromkeys(unread) if (text.path, text.name) not in read]


def _parse_all(release: Release) -> tuple[list[tuple[str, DocumentNode]], list[Unread]]:
    parsed: list[tuple[str, DocumentNode]] = []
    unread: list[Unread] = []
    for path, text in _graphql_texts(release):
        try:
            parsed.append((path, parse(_checked(text))))
        except (GraphQLSyntaxError, _StillATemplate) as error:
            if name := _NAME.search(text):
                unread.append(Unread(release.version, path, name[1], str(error).splitlines()[0]))
    return parsed, unread


def _checked(text: str) -> str:
    """The text without the unknown pieces that stand between definitions: they are fragments, and those are pooled."""
    if mark := _TEMPLATE_MARK.search(text):
        raise _StillATemplate(f"the client fills in {mark[0]} first")
    pieces = text.split(HOLE)
    depth = 0
    for piece in pieces[:-1]:
        depth += piece.count("{") - piece.count("}")
        if depth:
            raise _StillATemplate("a piece inside is made while the client runs")
    return " ".join(pieces)


def _graphql_texts(release: Release) -> Iterator[tuple[str, str]]:
    for path, text in release.files.items():
        if path.endswith(".graphql"):
            yield path, text
    trees = dict(_python_trees(release))
    constants: dict[str, str] = {}
    for tree in trees.values():
        constants.update({name: text for name, text in module_constants(tree).items() if "{" in text})
    for pick in (longer, shorter):
        known = dict(constants)
        for tree in trees.values():
            known.update(module_functions(tree, constants, pick))
        for path, tree in trees.items():
            yield from ((path, whole) for text in texts(tree, known, pick) for whole in _spread_out(text, tree))


def _spread_out(text: str, tree: ast.Module) -> list[str]:
    """The text, if it is GraphQL; several when a fragment's name is chosen while the client runs: one for each
    fragment that the same module holds."""
    if not _LOOKS_LIKE_GRAPHQL.match(text) or "{" not in text:
        return []
    if f"...{HOLE}" not in text:
        return [text]
    names = [name for constant in module_constants(tree).values() for name in _FRAGMENT.findall(constant)]
    return [text.replace(f"...{HOLE}", f"...{name}") for name in dict.fromkeys(names)] or [text]


def _python_trees(release: Release) -> Iterator[tuple[str, ast.Module]]:
    for path, text in release.files.items():
        # A file that speaks no GraphQL need not be parsed: most do not.
        if path.endswith(".py") and re.search(r"query|mutation|fragment", text):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", SyntaxWarning)
                    yield path, ast.parse(text)
            except SyntaxError:
                continue


def _fragments(documents: Iterable[DocumentNode]) -> dict[str, FragmentDefinitionNode]:
    """Every fragment by name; of several by one name, the one with the most in it."""
    found: dict[str, FragmentDefinitionNode] = {}
    for document in documents:
        for fragment in document.definitions:
            if isinstance(fragment, FragmentDefinitionNode):
                held = found.setdefault(fragment.name.value, fragment)
                if len(print_ast(fragment)) > len(print_ast(held)):
                    found[fragment.name.value] = fragment
    return found


def _completed(
    operation: OperationDefinitionNode, home: DocumentNode, pool: dict[str, FragmentDefinitionNode]
) -> DocumentNode:
    """The operation with the fragments it reaches: those of its own text first, then those of the release."""
    own = _fragments([home])
    needed: dict[str, FragmentDefinitionNode] = {}
    waiting = list(_spreads([operation]))
    while waiting:
        name = waiting.pop()
        fragment = own.get(name) or pool.get(name)
        if fragment is not None and name not in needed:
            needed[name] = fragment
            waiting.extend(_spreads([fragment]))
    return DocumentNode(definitions=(operation, *(needed[name] for name in sorted(needed))))


def _spreads(nodes: Iterable[OperationDefinitionNode | FragmentDefinitionNode]) -> Iterator[str]:
    names: list[str] = []

    class Collect(Visitor):
        def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
            names.append(node.name.value)

    for node in nodes:
        visit(node, Collect())
    return iter(names)


def _first_field(operation: OperationDefinitionNode) -> str:
    first = operation.selection_set.selections[0]
    return f"(unnamed {getattr(getattr(first, 'name', None), 'value', '')})"
