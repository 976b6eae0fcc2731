"""Global ids: opaque for clients, which take them for base64 text."""

from __future__ import annotations

import base64
import binascii

from backhaul.depot.model import Project, Run


def encode(*parts: str) -> str:
    """The id made of `parts`."""
    return base64.b64encode(":".join(parts).encode("utf-8", "surrogatepass")).decode()


def decode(identifier: str) -> list[str]:
    """The parts of an id; an empty list for what is none."""
    try:
        return base64.b64decode(identifier, validate=True).decode("utf-8").split(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return []


def of_run(run: Run) -> str:
    """The storage id of a run."""
    return encode("Run", "v1", run.name, run.project.name, run.project.entity)


def of_project(project: Project) -> str:
    """The id of a project."""
    return encode("Project", "v1", project.name, project.entity)


def of_file(run: Run, name: str) -> str:
    """The id of a run's file; the name comes last, because it may hold the separator."""
    return encode("File", "v1", run.name, run.project.name, run.project.entity, name)
