"""What older clients ask about the schema, to find out what a server can do.

They read `fields` or `inputFields` of a type without looking whether the type is there, so that a type is never null
and its lists may be empty, which means an old server. `LaunchAgent` is the exception: null means that there is no
launch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema

from backhaul.depot.graphql.context import Resolvers

_ABSENT = frozenset({"LaunchAgent"})

PROBE_SCHEMA = """
extend type Query { probe(name: String): ProbedType }
type ProbedType {
    name: String kind: String description: String
    fields(includeDeprecated: Boolean): [ProbedName!]!
    inputFields(includeDeprecated: Boolean): [ProbedName!]!
    enumValues(includeDeprecated: Boolean): [ProbedName!]!
}
type ProbedName { name: String! description: String args: [ProbedName!] type: ProbedType defaultValue: String }
"""


def probed(schema: GraphQLSchema, supported: Mapping[str, Resolvers], name: str) -> dict[str, Any] | None:
    """What the depot supports of the type: the fields that it resolves, the fields of inputs that it takes."""
    if name in _ABSENT:
        return None
    kind = schema.get_type(name)
    known = kind.fields if isinstance(kind, (GraphQLObjectType, GraphQLInputObjectType)) else {}
    fields = [field for field in supported.get(name, ()) if field in known]
    return {
        "name": name,
        "kind": "OBJECT",
        "description": None,
        "fields": [_named(field, getattr(known[field], "args", ())) for field in fields],
        "inputFields": [_named(field) for field in _taken(schema, supported.get("Mutation", {}), name)],
        "enumValues": [],
    }


def _named(name: str, arguments: Iterable[str] = ()) -> dict[str, Any]:
    """A field or argument by name; clients ask for no more, but some want the list of arguments to be a list."""
    unsaid = {"description": None, "type": None, "defaultValue": None}
    return {"name": name, "args": [_named(each) for each in arguments], **unsaid}


def _taken(schema: GraphQLSchema, mutations: Resolvers, name: str) -> list[str]:
    """The input's fields, if a mutation that is supported takes it, itself or inside another input."""
    kind = schema.get_type(name)
    root = schema.mutation_type
    if not isinstance(kind, GraphQLInputObjectType) or root is None:
        return []
    operation = name.removesuffix("Input")
    served = operation[:1].lower() + operation[1:] in mutations
    return list(kind.fields) if served else []
