"""How deep a document may reach.

Types refer to each other in circles: without a bound, a short document could ask for very much.
"""

from __future__ import annotations

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


def check_depth(document: DocumentNode) -> None:
    """Returns only for a document (without fragment cycles) of bounded depth. Refused with 400 otherwise."""
    fragments = {
        definition.name.value: definition.selection_set
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    depths: dict[str, int] = {}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            depth = _depth(definition.selection_set, fragments, depths)
            if depth > _DEEPEST:
                raise Refused(f"the document is {depth} fields deep; {_DEEPEST} are allowed")


def _depth(selected: SelectionSetNode, fragments: dict[str, SelectionSetNode], depths: dict[str, int]) -> int:
    return max((_below(selection, fragments, depths) for selection in selected.selections), default=0)


def _below(selection: SelectionNode, fragments: dict[str, SelectionSetNode], depths: dict[str, int]) -> int:
    if isinstance(selection, FragmentSpreadNode):
        name = selection.name.value
        if name not in depths:
            depths[name] = _depth(fragments[name], fragments, depths)
        return depths[name]
    inner: SelectionSetNode | None = getattr(selection, "selection_set", None)
    below = _depth(inner, fragments, depths) if inner else 0
    return below + 1 if isinstance(selection, FieldNode) else below
