"""Documents: parsed and checked once, remembered by their text.

Official clients send a small fixed set of documents, and checking one takes twenty times as long as executing it.
Not all rules of GraphQL are checked: clients of ten years declare variables that they do not use, and the like. A
field or argument that the schema lacks is an error in the standard's words, by which clients detect an old server.
"""

from __future__ import annotations

import re
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    Visitor,
    parse,
    validate,
    visit,
)
from graphql.validation import (
    ASTValidationRule,
    ExecutableDefinitionsRule,
    FieldsOnCorrectTypeRule,
    FragmentsOnCompositeTypesRule,
    KnownArgumentNamesRule,
    KnownFragmentNamesRule,
    KnownTypeNamesRule,
    NoFragmentCyclesRule,
    ScalarLeafsRule,
    UniqueFragmentNamesRule,
    UniqueOperationNamesRule,
    VariablesAreInputTypesRule,
)

from backhaul.depot.graphql.depth import check_size
from backhaul.depot.memory import Memory
from backhaul.depot.refusal import Refused

_RULES: list[type[ASTValidationRule]] = [
    ExecutableDefinitionsRule,
    UniqueOperationNamesRule,
    KnownTypeNamesRule,
    FragmentsOnCompositeTypesRule,
    VariablesAreInputTypesRule,
    ScalarLeafsRule,
    FieldsOnCorrectTypeRule,
    UniqueFragmentNamesRule,
    KnownFragmentNamesRule,
    NoFragmentCyclesRule,
    KnownArgumentNamesRule,
]
_QUOTED = re.compile(r"'([\w.]+)'")  # clients compare with messages that have double quotes
_REMEMBERED = 512
_LONGEST = 256 * 1024
_MOST_TOKENS = 20_000

PROBE_FIELD = "probe"
PROBE_TYPES = {"__Type": "ProbedType", "__Field": "ProbedName", "__InputValue": "ProbedName"}
"""Where questions about the schema (`__type`) go instead; see `probes`."""


class Documents:
    """The documents that a schema can execute."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._known: Memory[str, DocumentNode] = Memory(_REMEMBERED)

    def get(self, text: str) -> DocumentNode:
        """The document of that text. Refused with 400, in the words of GraphQL, when it is not valid."""
        if len(text) > _LONGEST:
            raise Refused(f"the document is longer than {_LONGEST} characters", 413)
        return self._known.get(text, lambda: self._check(text))

    def _check(self, text: str) -> DocumentNode:
        try:
            parsed = parse(text, no_location=False, max_tokens=_MOST_TOKENS)
            document: DocumentNode = visit(parsed, _Probes())
        except (GraphQLError, RecursionError) as error:
            raise Refused(getattr(error, "message", "the document is nested too deeply")) from error
        errors = validate(self._schema, document, _RULES, hide_suggestions=True)
        if errors:
            raise Refused("; ".join(_QUOTED.sub(r'"\1"', error.message) for error in errors))
        check_size(document)
        return document


def first_operation(document: DocumentNode) -> str | None:
    """The name of the first operation, for clients that send several and say not which."""
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            return definition.name.value if definition.name else None
    return None


class _Probes(Visitor):
    """Turns introspection of a type into an ordinary question, so that the depot can say what it supports."""

    def enter_field(self, node: FieldNode, *_args: Any) -> FieldNode | None:
        if node.name.value != "__type":
            return None
        alias = node.alias or NameNode(value="__type")
        return FieldNode(
            name=NameNode(value=PROBE_FIELD),
            alias=alias,
            arguments=node.arguments,
            directives=node.directives,
            selection_set=node.selection_set,
            loc=node.loc,
        )

    def enter_named_type(self, node: NamedTypeNode, *_args: Any) -> NamedTypeNode | None:
        other = PROBE_TYPES.get(node.name.value)
        return NamedTypeNode(name=NameNode(value=other), loc=node.loc) if other else None
