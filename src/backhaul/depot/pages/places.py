"""Where things lie: the paths of pages and of what they link to, percent-escaped."""

from __future__ import annotations

from urllib.parse import quote

from backhaul.depot.artifact import Artifact, Collection
from backhaul.depot.model import Project, Run


def _path(*parts: str) -> str:
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def of_project(project: Project) -> str:
    """The page of a project's runs."""
    return _path(project.entity, project.name)


def of_run(run: Run) -> str:
    """The page of a run."""
    return of_project(run.project) + _path("runs", run.name)


def of_file(run: Run, name: str) -> str:
    """Where the bytes of a run's file are got."""
    return f"/:files{_path(run.project.entity, run.project.name, run.name)}/{quote(name)}"


def of_artifacts(project: Project) -> str:
    """The page of a project's artifacts."""
    return of_project(project) + _path("artifacts")


def of_collection(series: Collection) -> str:
    """The page of a collection of artifacts."""
    return of_artifacts(series.project) + _path(series.type, series.name)


def of_artifact(artifact: Artifact) -> str:
    """The page of a version, in the collection under which it was logged."""
    return of_collection(artifact.collection) + _path(f"v{artifact.version}")


def of_entry(artifact: Artifact, name: str, md5: str) -> str:
    """Where the bytes of an artifact's entry are got."""
    project, series = artifact.collection.project, artifact.collection
    place = _path("artifactsV2", "default", project.entity, project.name, series.name, str(artifact.id), md5)
    return f"{place}/{quote(name)}"
