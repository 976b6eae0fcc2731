"""How deep a document may reach, and how wide.

Types refer to each other in circles, and fragments to fragments: without bounds, a short document could ask for very
much.
"""

from __future__ import annotations

from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

from backhaul.depot.refusal import Refused

_DEEPEST = 24  # the deepest document of an official client has 14
_MOST_FIELDS = 1000  # the largest has 70, with its fragments put in


class _Size(NamedTuple):
    depth: int
    fields: int


def check_size(document: DocumentNode) -> None:
    """Returns only for a document (without fragment cycles) of bounded size. Refused with 400 otherwise."""
    fragments = {
        definition.name.value: definition.selection_set
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    known: dict[str, _Size] = {}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            size = _size(definition.selection_set, fragments, known)
            if size.depth > _DEEPEST:
                raise Refused(f"the document is {size.depth} fields deep; {_DEEPEST} are allowed")
            if size.fields > _MOST_FIELDS:
                raise Refused(f"the document asks for {size.fields} fields; {_MOST_FIELDS} are allowed")


def _size(selected: SelectionSetNode, fragments: dict[str, SelectionSetNode], known: dict[str, _Size]) -> _Size:
    sizes = [_below(selection, fragments, known) for selection in selected.selections]
    return _Size(max((size.depth for size in sizes), default=0), sum(size.fields for size in sizes))


def _below(selection: SelectionNode, fragments: dict[str, SelectionSetNode], known: dict[str, _Size]) -> _Size:
    if isinstance(selection, FragmentSpreadNode):
        name = selection.name.value
        if name not in known:
            known[name] = _size(fragments[name], fragments, known)
        return known[name]
    inner: SelectionSetNode | None = getattr(selection, "selection_set", None)
    below = _size(inner, fragments, known) if inner else _Size(0, 0)
    return _Size(below.depth + 1, below.fields + 1) if isinstance(selection, FieldNode) else below
