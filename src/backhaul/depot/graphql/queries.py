"""The root of what can be asked."""

from __future__ import annotations

from typing import Any

from backhaul.depot.graphql import viewers
from backhaul.depot.graphql.artifact_mutations import client_mapping
from backhaul.depot.graphql.artifacts import find_artifact
from backhaul.depot.graphql.collection_mutations import find_collection
from backhaul.depot.graphql.connections import connection
from backhaul.depot.graphql.context import Args, Context, Resolvers, text
from backhaul.depot.graphql.places import UNCATEGORIZED


def _project(_source: Any, context: Context, args: Args) -> Any:
    name = text(args, "name") or UNCATEGORIZED
    return context.store.project(text(args, "entityName") or context.entity, name)


def _projects(_source: Any, context: Context, args: Args) -> Any:
    return connection(context.store.projects(text(args, "entityName")), args)


def _entity(_source: Any, context: Context, args: Args) -> Any:
    name = text(args, "name") or context.entity
    return viewers.entity(name, context.user) if context.user.sees(name) else None


QUERY: Resolvers = {
    "viewer": lambda _s, context, _a: viewers.viewer(context),
    "serverInfo": lambda _s, _c, _a: {},
    "project": _project,
    "model": _project,
    "models": _projects,
    "entity": _entity,
    "organization": lambda _s, _c, _a: None,
    "artifact": lambda _s, context, args: find_artifact(context, text(args, "id")),
    "artifactCollection": lambda _s, context, args: find_collection(context, text(args, "id")),
    "clientIDMapping": client_mapping,
    "users": lambda _s, _c, args: connection([], args),
}
