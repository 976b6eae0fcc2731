"""What a document asks of the schema, as coordinates.

They are `Type.field`, `Type.field(argument:)`, `Input.field` and `Enum.VALUE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from graphql import (
    ArgumentNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLSchema,
    ObjectFieldNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    Visitor,
    get_named_type,
    is_required_input_field,
    specified_rules,
    type_from_ast,
    validate,
    visit,
)
from graphql.validation import NoUnusedFragmentsRule, NoUnusedVariablesRule

# Clients declare variables that they do not use; servers let them.
_RULES = [rule for rule in specified_rules if rule not in (NoUnusedVariablesRule, NoUnusedFragmentsRule)]
_LAUNCH = re.compile(r"RunQueue|LaunchAgent|DefaultResourceConfig", re.IGNORECASE)


def errors_of(schema: GraphQLSchema, document: DocumentNode) -> list[str]:
    """Why the document is not valid against the schema; empty when it is."""
    return [error.message for error in validate(schema, document, _RULES)]


def is_launch(operation: str) -> bool:
    """Whether an operation is part of launch, which the SDL leaves out: clients probe for it before they use it."""
    return bool(_LAUNCH.search(operation))


def coordinates_of(schema: GraphQLSchema, document: DocumentNode) -> set[str]:
    """Every coordinate that a valid document uses; a field of an interface counts for the types that have it."""
    info = TypeInfo(schema)
    found = _Collector(schema, info)
    visit(document, TypeInfoVisitor(info, found))
    return found.coordinates


def members_in(schema: GraphQLSchema, members: Iterable[str]) -> set[str]:
    """Those of ``Type.member`` that are a field of an input type or a value of an enum of the schema."""
    return {member for member in members if _is_member(schema, *member.split(".", 1))}


def _is_member(schema: GraphQLSchema, owner: str, member: str) -> bool:
    kind = schema.get_type(owner)
    if isinstance(kind, GraphQLInputObjectType):
        return member in kind.fields
    return isinstance(kind, GraphQLEnumType) and member in kind.values


class _Collector(Visitor):
    def __init__(self, schema: GraphQLSchema, info: TypeInfo) -> None:
        super().__init__()
        self.schema = schema
        self.info = info
        self.coordinates: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self._note_field(node.name.value, "")

    def enter_argument(self, node: ArgumentNode, *_: object) -> None:
        # A directive's argument is none of a field's.
        if self.info.get_directive() is None:
            self._note_field(self._field_name(), f"({node.name.value}:)")

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: object) -> None:
        kind = get_named_type(type_from_ast(self.schema, node.type))
        if isinstance(kind, GraphQLInputObjectType):
            self._note_required(kind)

    def enter_object_field(self, node: ObjectFieldNode, *_: object) -> None:
        owner = get_named_type(self.info.get_parent_input_type())
        if owner is not None:
            self.coordinates.add(f"{owner.name}.{node.name.value}")

    def enter_enum_value(self, node: EnumValueNode, *_: object) -> None:
        owner = get_named_type(self.info.get_input_type())
        if owner is not None:
            self.coordinates.add(f"{owner.name}.{node.value}")

    def _field_name(self) -> str:
        parent, field = self.info.get_parent_type(), self.info.get_field_def()
        names = [name for name, held in getattr(parent, "fields", {}).items() if held is field]
        return names[0] if names else ""

    def _note_field(self, name: str, rest: str) -> None:
        parent = self.info.get_parent_type()
        if parent is None or name.startswith("__"):
            return
        owners = [parent.name]
        if isinstance(parent, GraphQLInterfaceType):
            owners += [kind.name for kind in self.schema.get_possible_types(parent)]
        self.coordinates.update(f"{owner}.{name}{rest}" for owner in owners)

    def _note_required(self, kind: GraphQLInputObjectType) -> None:
        """What a variable must hold to be accepted is sent, although no document shows it."""
        for name, held in kind.fields.items():
            if is_required_input_field(held):
                coordinate = f"{kind.name}.{name}"
                inner = get_named_type(held.type)
                if coordinate not in self.coordinates and isinstance(inner, GraphQLInputObjectType):
                    self.coordinates.add(coordinate)
                    self._note_required(inner)
                self.coordinates.add(coordinate)
