"""What clients may change about collections: links, aliases, tags, names, and what is deleted."""

from __future__ import annotations

from typing import Any

from backhaul.depot.artifact import Collection
from backhaul.depot.graphql.artifact_mutations import alias_names, checked_name, tag_names
from backhaul.depot.graphql.artifacts import find_artifact, number_of
from backhaul.depot.graphql.context import Args, Context, Resolvers, text
from backhaul.depot.graphql.places import place
from backhaul.depot.refusal import not_found


def find_collection(context: Context, identifier: str | None) -> Collection:
    """The collection of that id. Refused with 404 when there is none."""
    return context.store.artifacts.collection_of(number_of("ArtifactCollection", identifier))


def _collection_at(context: Context, fields: Args) -> Collection:
    """The collection that `entityName`, `projectName` and `artifactCollectionName` name; else refused with 404."""
    entity, project = place(context, fields)
    home = context.store.project(entity, project)
    name = text(fields, "artifactCollectionName") or ""
    found = context.store.artifacts.collection(home.id, name) if home else None
    if found is None:
        raise not_found(f"artifact collection {entity}/{project}/{name}")
    return found


def _link(_source: Any, context: Context, args: Args) -> Any:
    """Links by the version's id, or by the id that its client gave it."""
    fields = args["input"]
    store = context.store.artifacts
    if text(fields, "artifactID"):
        artifact = find_artifact(context, text(fields, "artifactID"))
    else:
        known = store.by_client(text(fields, "clientID") or "")
        if known is None:
            raise not_found("artifact")
        artifact = known
    if text(fields, "artifactPortfolioID"):
        series = find_collection(context, text(fields, "artifactPortfolioID"))
        entity, project, name = series.project.entity, series.project.name, series.name
    else:
        entity, project = place(context, fields)
        name = checked_name("collection name", text(fields, "artifactPortfolioName"))
    made = store.link(artifact.id, entity, project, name, alias_names(fields))
    return {"versionIndex": made.version, "artifactMembership": made}


def _unlink(_source: Any, context: Context, args: Args) -> Any:
    artifact = find_artifact(context, args["input"]["artifactID"])
    context.store.artifacts.unlink(artifact.id, find_collection(context, args["input"]["artifactPortfolioID"]).id)
    return {"success": True, "artifactID": args["input"]["artifactID"]}


def _delete(_source: Any, context: Context, args: Args) -> Any:
    artifact = find_artifact(context, args["input"]["artifactID"])
    return {"artifact": context.store.artifacts.delete(artifact.id, bool(args["input"].get("deleteAliases")))}


def _add_aliases(_source: Any, context: Context, args: Args) -> Any:
    artifact = find_artifact(context, args["input"]["artifactID"])
    for name in alias_names(args["input"]):
        for series in _named_in(context, args["input"], name):
            context.store.artifacts.set_aliases(artifact, [name], [], series.id)
    return {"success": True}


def _delete_aliases(_source: Any, context: Context, args: Args) -> Any:
    artifact = find_artifact(context, args["input"]["artifactID"])
    for alias in args["input"]["aliases"]:
        context.store.artifacts.set_aliases(artifact, [], [alias["alias"]], _collection_at(context, alias).id)
    return {"success": True}


def _named_in(context: Context, fields: Args, name: str) -> list[Collection]:
    """The collections in which an input gives that alias."""
    return [_collection_at(context, alias) for alias in fields["aliases"] if alias["alias"] == name]


def _edit(identifier: str) -> Any:
    def resolve(_source: Any, context: Context, args: Args) -> Any:
        fields = args["input"]
        series = find_collection(context, fields[identifier])
        name = checked_name("artifact name", fields["name"]) if text(fields, "name") else None
        made = context.store.artifacts.edit_collection(series.id, name=name, description=fields.get("description"))
        return {"artifactCollection": made}

    return resolve


def _move(_source: Any, context: Context, args: Args) -> Any:
    series = find_collection(context, args["input"]["artifactSequenceID"])
    kind = checked_name("artifact type", args["input"]["destinationArtifactTypeName"])
    return {"artifactCollection": context.store.artifacts.edit_collection(series.id, kind=kind)}


def _delete_collection(identifier: str) -> Any:
    def resolve(_source: Any, context: Context, args: Args) -> Any:
        series = find_collection(context, args["input"][identifier])
        return {"artifactCollection": context.store.artifacts.delete_collection(series.id)}

    return resolve


def _tag(_source: Any, context: Context, args: Args) -> Any:
    series = _collection_at(context, args["input"])
    names = tag_names(args["input"], "tags")
    context.store.artifacts.tag_collection(series.id, names, [])
    return {"tags": [{"id": name, "name": name} for name in names]}


def _untag(_source: Any, context: Context, args: Args) -> Any:
    series = _collection_at(context, args["input"])
    context.store.artifacts.tag_collection(series.id, [], tag_names(args["input"], "tags"))
    return {"success": True}


COLLECTION_MUTATIONS: Resolvers = {
    "linkArtifact": _link,
    "unlinkArtifact": _unlink,
    "deleteArtifact": _delete,
    "addAliases": _add_aliases,
    "deleteAliases": _delete_aliases,
    "updateArtifactSequence": _edit("artifactSequenceID"),
    "updateArtifactPortfolio": _edit("artifactPortfolioID"),
    "moveArtifactSequence": _move,
    "deleteArtifactSequence": _delete_collection("artifactSequenceID"),
    "deleteArtifactPortfolio": _delete_collection("artifactPortfolioID"),
    "createArtifactCollectionTagAssignments": _tag,
    "deleteArtifactCollectionTagAssignments": _untag,
}
