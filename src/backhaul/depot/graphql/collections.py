"""Collections and types of artifacts, and which versions belong to them, as clients read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from backhaul.depot import numbers
from backhaul.depot.artifact import LATEST, Artifact, Collection, Membership, Window
from backhaul.depot.graphql.artifacts import Kind, alias_nodes, artifact_files, tag_node
from backhaul.depot.graphql.connections import connection, window
from backhaul.depot.graphql.context import Args, Context, Resolvers, text
from backhaul.depot.graphql.filters import parse_filters
from backhaul.depot.graphql.identifiers import encode
from backhaul.depot.graphql.times import iso
from backhaul.depot.model import Project


def membership_named(project: Project, context: Context, name: str | None) -> Membership | None:
    """The version that `collection:alias` names; without an alias the latest."""
    series_name, _, alias = (name or "").partition(":")
    series = context.store.artifacts.collection(project.id, series_name)
    return context.store.artifacts.member(series, alias or LATEST) if series else None


def _named(project: Project, context: Context, args: Args) -> Artifact | None:
    found = membership_named(project, context, text(args, "name"))
    return found.artifact if found else None


def kinds(project: Project, context: Context) -> list[Kind]:
    """The types that occur in a project, by name."""
    found = {each.type for each in context.store.artifacts.collections(project.id)}
    return [Kind(project, name) for name in sorted(found)]


def _versions(series: Collection, context: Context, args: Args) -> Any:
    """The versions, newest first, each with its number here, which is its cursor as well."""
    store, (tags, hit) = context.store.artifacts, _tags(args)
    order, after, size = text(args, "order") or "-", text(args, "after"), window(args)[1]
    # Numbers and times grow together, so that either is the reverse.
    asked = Window(size + 1, numbers.whole(after or ""), oldest_first=not order.startswith("-"))
    if tags:
        every = [each for each in store.members(series) if hit(tag in each.artifact.tags for tag in tags)]
        found, total = asked.of(every), len(every)
    else:
        found, total = store.members(series, asked), store.count(series)
    return _page(found[:size], total, after, is_last=len(found) <= size)


def _page(found: list[Membership], total: int, after: str | None, *, is_last: bool) -> Any:
    edges = [{"node": each.artifact, "cursor": str(each.version), "version": f"v{each.version}"} for each in found]
    ends = {"startCursor": edges[0]["cursor"], "endCursor": edges[-1]["cursor"]} if edges else {"endCursor": after}
    return {
        "totalCount": total,
        "edges": edges,
        "pageInfo": ends | {"hasNextPage": not is_last, "hasPreviousPage": after is not None},
    }


def _tags(args: Args) -> tuple[list[Any], Callable[[Iterable[bool]], bool]]:
    """The tags in filters such as `{"state": "COMMITTED", "tags": {"$in": [...]}}`, and how many of them must be there.

    All else in a filter is true of all versions, or not known.
    """
    wanted = parse_filters(text(args, "filters")).get("tags") or {}
    names = (wanted.get("$in") or wanted.get("$all") or []) if isinstance(wanted, dict) else [wanted]
    return names, all if isinstance(wanted, dict) and "$all" in wanted else any


def _series_membership(series: Collection, context: Context, args: Args) -> Any:
    return context.store.artifacts.member(series, text(args, "aliasName") or LATEST)


def _series_aliases(series: Collection, context: Context, args: Args) -> Any:
    found = context.store.artifacts.members(series)
    return connection([alias for each in found for alias in alias_nodes(each, numbered=False)], args)


def _newest(series: Collection, context: Context, _args: Args) -> Artifact | None:
    found = context.store.artifacts.members(series, Window(1))
    return found[0].artifact if found else None


PORTFOLIO: Resolvers = {
    "id": lambda series, _c, _a: encode("ArtifactCollection", str(series.id)),
    "name": lambda series, _c, _a: series.name,
    "description": lambda series, _c, _a: series.description,
    "createdAt": lambda series, _c, _a: iso(series.created_at),
    "updatedAt": lambda series, _c, _a: iso(series.created_at),
    "state": lambda _s, _c, _a: "READY",
    "project": lambda series, _c, _a: series.project,
    "defaultArtifactType": lambda series, _c, _a: Kind(series.project, series.type),
    "tags": lambda series, _c, args: connection([tag_node(tag) for tag in series.tags], args),
    "aliases": _series_aliases,
    "artifacts": _versions,
    "artifactMembership": _series_membership,
}

SEQUENCE: Resolvers = PORTFOLIO | {
    "latestArtifact": _newest,
    "digestAlgorithm": lambda _s, _c, _a: "MANIFEST_MD5",
}

MEMBERSHIP: Resolvers = {
    "id": lambda each, _c, _a: encode("ArtifactMembership", str(each.collection.id), str(each.artifact.id)),
    "versionIndex": lambda each, _c, _a: each.version,
    "createdAt": lambda each, _c, _a: iso(each.created_at),
    "aliases": lambda each, _c, _a: alias_nodes(each),
    "artifactCollection": lambda each, _c, _a: each.collection,
    "artifact": lambda each, _c, _a: each.artifact,
    "files": lambda each, context, args: artifact_files(each.artifact, context, args),
}


def _of_kind(kind: Kind, context: Context) -> list[Collection]:
    return [each for each in context.store.artifacts.collections(kind.project.id) if each.type == kind.name]


def _one_of_kind(kind: Kind, context: Context, args: Args) -> Collection | None:
    series = context.store.artifacts.collection(kind.project.id, text(args, "name") or "")
    return series if series and series.type == kind.name else None


def _sequences(kind: Kind, context: Context, args: Args) -> Any:
    return connection([each for each in _of_kind(kind, context) if not each.portfolio], args)


def _sequence(kind: Kind, context: Context, args: Args) -> Collection | None:
    """None for a portfolio: SDKs around 0.18 ask for it by this name, too, to find out which of both it is."""
    series = _one_of_kind(kind, context, args)
    return None if series and series.portfolio else series


KIND: Resolvers = {
    "id": lambda kind, _c, _a: encode("ArtifactType", str(kind.project.id), kind.name),
    "name": lambda kind, _c, _a: kind.name,
    "description": lambda _k, _c, _a: None,
    "createdAt": lambda kind, _c, _a: iso(kind.project.created_at),
    "project": lambda kind, _c, _a: kind.project,
    "artifact": lambda kind, context, args: _named(kind.project, context, args),
    "artifactCollection": _one_of_kind,
    "artifactCollections": lambda kind, context, args: connection(_of_kind(kind, context), args),
    "artifactSequence": _sequence,
    "artifactSequences": _sequences,
}


def _project_kind(project: Project, context: Context, args: Args) -> Kind | None:
    return next((kind for kind in kinds(project, context) if kind.name == args.get("name")), None)


def _project_collection(project: Project, context: Context, args: Args) -> Collection | None:
    return context.store.artifacts.collection(project.id, text(args, "name") or "")


IN_PROJECT: Resolvers = {
    "artifact": _named,
    "artifactType": _project_kind,
    "artifactTypes": lambda project, context, args: connection(kinds(project, context), args),
    "artifactCollection": _project_collection,
    "artifactCollections": lambda project, context, args: connection(
        context.store.artifacts.collections(project.id), args
    ),
    "artifactCollectionMembership": lambda project, context, args: membership_named(
        project, context, text(args, "name")
    ),
}
