"""The schema: the types that official clients ask for, with the depot's resolvers put in.

A root field without a resolver answers with an error that names it; it is counted, so that an operator sees what the
clients would like to have. Any other field without a resolver is null, which clients bear more often than an error.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLFieldResolver,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLUnionType,
    build_ast_schema,
    parse,
)

from backhaul.depot.artifact import Collection
from backhaul.depot.graphql.artifacts import ARTIFACT
from backhaul.depot.graphql.collections import KIND, MEMBERSHIP, PORTFOLIO, SEQUENCE
from backhaul.depot.graphql.context import Args, Context, Resolver, Resolvers
from backhaul.depot.graphql.files import FILE
from backhaul.depot.graphql.mutations import MUTATION
from backhaul.depot.graphql.probes import PROBE_SCHEMA, probed
from backhaul.depot.graphql.projects import PROJECT
from backhaul.depot.graphql.queries import QUERY
from backhaul.depot.graphql.runs import RUN
from backhaul.depot.graphql.scalars import check_inputs
from backhaul.depot.graphql.sweeps import AGENT, SWEEP, SWEEP_SCHEMA
from backhaul.depot.graphql.viewers import ENTITY, SERVER_INFO, USER
from backhaul.depot.model import Run
from backhaul.depot.refusal import Refused

_LOG = logging.getLogger("backhaul.depot")
_SDL = Path(__file__).parent / "schema.graphql"

RESOLVERS: dict[str, Resolvers] = {
    "Query": QUERY,
    "Mutation": MUTATION,
    "Entity": ENTITY,
    "User": USER,
    "ServerInfo": SERVER_INFO,
    "Project": PROJECT,
    "Run": RUN,
    "Sweep": SWEEP,
    "Agent": AGENT,
    "File": FILE,
    "Artifact": ARTIFACT,
    "ArtifactSequence": SEQUENCE,
    "ArtifactPortfolio": PORTFOLIO,
    "ArtifactType": KIND,
    "ArtifactCollectionMembership": MEMBERSHIP,
}

unsupported: Counter[str] = Counter()
"""How often clients asked for what the depot does not have, by `Type.field`."""


def load_schema(path: Path = _SDL) -> GraphQLSchema:
    """The executable schema. Raises OSError or GraphQLError when the file is missing or wrong."""
    schema = build_ast_schema(parse(path.read_text(encoding="utf-8") + PROBE_SCHEMA + SWEEP_SCHEMA))
    check_inputs(schema)
    probe: Resolvers = {"probe": lambda _s, _c, args: probed(schema, RESOLVERS, args.get("name") or "")}
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            _fill(kind, RESOLVERS.get(kind.name, {}) | (probe if kind is schema.query_type else {}))
        elif isinstance(kind, (GraphQLInterfaceType, GraphQLUnionType)):
            kind.resolve_type = _type_name
    return schema


def _type_name(value: Any, _info: GraphQLResolveInfo[Any], _abstract: Any) -> str:
    """Which type a value of an interface or union has: the class says it."""
    if isinstance(value, Collection):
        return "ArtifactPortfolio" if value.portfolio else "ArtifactSequence"
    return "Run" if isinstance(value, Run) else "User"


def _for_writers(resolver: Resolver) -> Resolver:
    def resolve(source: Any, context: Context, args: Args) -> Any:
        context.user.must_write()
        return resolver(source, context, args)

    return resolve


def _fill(kind: GraphQLObjectType, resolvers: Resolvers) -> None:
    root = kind.name in ("Query", "Mutation")
    for name, field in kind.fields.items():
        if name in resolvers:
            resolver = _for_writers(resolvers[name]) if kind.name == "Mutation" else resolvers[name]
            field.resolve = _adapted(resolver)
        else:
            field.resolve = _refuse if root else _plain


def _adapted(resolver: Resolver) -> GraphQLFieldResolver:
    def resolve(source: Any, info: GraphQLResolveInfo[Any], **args: Any) -> Any:
        if isinstance(source, dict) and info.field_name in source:  # an answer that is made already
            return source[info.field_name]
        info.context.check_time()
        return resolver(source, info.context, args)

    return resolve


def _plain(source: Any, info: GraphQLResolveInfo[Any], **_args: Any) -> Any:
    """The member of that name of an answer that is already made; null for what the depot does not have."""
    if isinstance(source, dict) and info.field_name in source:
        return source[info.field_name]
    _note(info)
    return None


def _refuse(_source: Any, info: GraphQLResolveInfo[Any], **_args: Any) -> Any:
    _note(info)
    raise Refused(f"{info.field_name} is not supported by this depot")


def _note(info: GraphQLResolveInfo[Any]) -> None:
    name = f"{info.parent_type.name}.{info.field_name}"
    if not unsupported[name]:
        _LOG.info("unsupported", extra={"facts": {"field": name}})
    unsupported[name] += 1
