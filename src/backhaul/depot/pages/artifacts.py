"""Artifacts: the collections of a project, the versions of one, and what is in a version."""

from __future__ import annotations

from typing import Any

from backhaul.depot import numbers, rows
from backhaul.depot.artifact import Artifact, Collection, Entry, Window
from backhaul.depot.graphql.times import iso
from backhaul.depot.model import Run
from backhaul.depot.pages import heading, places, shown
from backhaul.depot.pages.visit import Visit
from backhaul.depot.refusal import not_found

_PAGE = 200
_MOST_RELATIVES = 50


def every(visit: Visit) -> dict[str, Any]:
    """The collections of a project, by type."""
    project = visit.project()
    types: dict[str, list[dict[str, Any]]] = {}
    for series in visit.store.artifacts.collections(project.id):
        types.setdefault(series.type, []).append(_collection_row(visit, series))
    return {
        "title": "Artifacts",
        "entity": project.entity,
        "project": project.name,
        "project_path": places.of_project(project),
        "types": [{"name": name, "collections": types[name]} for name in sorted(types)],
    }


def collection(visit: Visit) -> dict[str, Any]:
    """The versions of a collection, newest first: the newest, or those older or newer than a number."""
    series = _collection(visit)
    older, newer = numbers.whole(visit.text("older")), numbers.whole(visit.text("newer"))
    asked = Window(_PAGE + 1, older if newer is None else newer, oldest_first=newer is not None)
    found = visit.store.artifacts.members(series, asked)
    members, goes_on = found[:_PAGE][:: -1 if asked.oldest_first else 1], len(found) > _PAGE
    numbered = [each.version for each in members] or [asked.past or 0]
    return _place(series) | {
        "title": series.name,
        "description": series.description,
        "tags": list(series.tags),
        "portfolio": series.portfolio,
        "total": visit.store.artifacts.count(series),
        "versions": [
            _row(visit, each.artifact) | {"version": f"v{each.version}", "aliases": list(each.aliases)}
            for each in members
        ],
        "newer": numbered[0] if (goes_on if asked.oldest_first else older is not None) else None,
        "older": numbered[-1] if (goes_on or asked.oldest_first) else None,
    }


def version(visit: Visit) -> dict[str, Any]:
    """A version: its files, its metadata, and which runs made and used it."""
    series = _collection(visit)
    member = visit.store.artifacts.member(series, visit.part("version"))
    if member is None:
        raise not_found(f"version {visit.part('version')} of artifact {series.name}")
    artifact = member.artifact
    entries = visit.services.manifests.entries(visit.store.artifacts.current_manifest(artifact.id))
    q = visit.text("q").casefold()
    found = [entry for entry in entries if q in entry.name.casefold()]
    pages = max(1, -(-len(found) // _PAGE))
    page = visit.number("page", 1, 1, pages)
    metadata = shown.pairs(rows.flat(rows.parse(artifact.metadata or "{}")))
    return _place(series) | {
        "title": f"{series.name}:v{member.version}",
        "artifact": _row(visit, artifact) | {"version": f"v{member.version}", "aliases": list(member.aliases)},
        "q": visit.text("q"),
        "metadata": metadata[:_PAGE],
        "lineage": _lineage(visit, artifact),
        "files": [_entry(artifact, entry) for entry in found[(page - 1) * _PAGE : page * _PAGE]],
        "found": len(found),
        "page": page,
        "pages": pages,
    }


def of_run(visit: Visit) -> dict[str, Any]:
    """What a run made and what it used."""
    run = visit.run()
    artifacts = visit.store.artifacts
    return heading.of_page(visit, run, "artifacts") | {
        "made": [_row(visit, each) for each in artifacts.logged(run.id)[-_PAGE:]],
        "used": [_row(visit, each) for each in artifacts.used(run.id)[-_PAGE:] if each.version is not None],
    }


def _collection(visit: Visit) -> Collection:
    """The collection that the path names. Refused with 404 when there is none of that type."""
    series = visit.store.artifacts.collection(visit.project().id, visit.part("collection"))
    if series is None or series.type != visit.part("type"):
        raise not_found(f"artifact {visit.part('collection')} of type {visit.part('type')}")
    return series


def _place(series: Collection) -> dict[str, Any]:
    return {
        "entity": series.project.entity,
        "project": series.project.name,
        "project_path": places.of_project(series.project),
        "artifacts_path": places.of_artifacts(series.project),
        "collection": series.name,
        "type": series.type,
        "path": places.of_collection(series),
    }


def _collection_row(visit: Visit, series: Collection) -> dict[str, Any]:
    newest = next(iter(visit.store.artifacts.members(series, Window(1))), None)
    return {
        "name": series.name,
        "path": places.of_collection(series),
        "portfolio": series.portfolio,
        "versions": visit.store.artifacts.count(series),
        "latest": f"v{newest.version}" if newest else None,
        "bytes": newest.artifact.size if newest else 0,
        "updated": iso(newest.artifact.updated_at if newest else series.created_at),
    }


def _row(visit: Visit, artifact: Artifact) -> dict[str, Any]:
    maker = visit.store.artifacts.maker(artifact)
    return {
        "name": artifact.collection.name,
        "type": artifact.collection.type,
        "version": f"v{artifact.version}",
        "aliases": list(artifact.aliases),
        "tags": list(artifact.tags),
        "description": artifact.description,
        "digest": artifact.digest,
        "bytes": artifact.size,
        "files": artifact.file_count,
        "created": iso(artifact.created_at),
        "path": places.of_artifact(artifact),
        "collection_path": places.of_collection(artifact.collection),
        "made_by": _run(maker) if maker else None,
    }


def _run(run: Run) -> dict[str, str]:
    return {"name": run.display_name, "id": run.name, "path": places.of_run(run)}


def _lineage(visit: Visit, artifact: Artifact) -> dict[str, Any]:
    """From the artifacts that its maker used to those that its users made."""
    store = visit.store.artifacts
    maker, users = store.maker(artifact), store.users(artifact.id)[:_MOST_RELATIVES]
    sources = store.used(maker.id) if maker else []
    results = {each.id: each for run in users for each in store.logged(run.id)}
    return {
        "sources": [_relative(each) for each in sources[:_MOST_RELATIVES] if each.version is not None],
        "made_by": _run(maker) if maker else None,
        "used_by": [_run(run) for run in users],
        "results": [_relative(each) for each in list(results.values())[:_MOST_RELATIVES]],
    }


def _relative(artifact: Artifact) -> dict[str, str]:
    name = f"{artifact.collection.name}:v{artifact.version}"
    return {"name": name, "type": artifact.collection.type, "path": places.of_artifact(artifact)}


def _entry(artifact: Artifact, entry: Entry) -> dict[str, Any]:
    """A file with where to get it, or a reference to bytes kept elsewhere, which only web addresses become links of."""
    reference = entry.reference
    return {
        "name": entry.name,
        "bytes": entry.size,
        "md5": entry.md5,
        "path": places.of_entry(artifact, entry.name, entry.md5) if entry.md5 else None,
        "reference": reference,
        "web": bool(reference and reference.startswith(("https://", "http://"))),
    }
