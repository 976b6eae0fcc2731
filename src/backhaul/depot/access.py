"""What a user may read and change: decided here, for every door of the depot.

GraphQL, `file_stream`, files, artifacts, pages and their JSON twins all work with the store as `seen_by` gives it. What
belongs to an entity that the user does not see never leaves it: such a thing is not there, in one and the same answer
as for a thing that never was. A name to write under is refused as the official server does. A link shows to those who
see both ends.

Everything that comes out of the store is looked at, whatever method it came by. Methods that take an id need no look
at it: whoever has the thing to which the id belongs got it from here. A method that this page does not know counts as
one that changes something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from backhaul.depot.artifact import Artifact, Collection, Draft, Membership, Window
from backhaul.depot.model import Project, Run, RunEdit, User
from backhaul.depot.refusal import not_found
from backhaul.depot.store import Store
from backhaul.depot.store.interface import Artifacts, Sweeps
from backhaul.depot.sweeps import Agent, Sweep, SweepEdit

READS = frozenset({
    "project", "projects", "project_facts", "run", "runs", "was_deleted", "line_counts", "batches", "batch_lines",
    "stretches", "stretch_facts", "stretch_column", "select",
    "lines", "file", "files", "logged", "used", "users", "maker", "member",
    "memberships", "collections", "collection", "current_manifest", "manifests", "content", "by_client",
    "named", "every", "agents",
})  # fmt: skip
"""The methods that change nothing, beside those that a part guards itself."""

_OWNERS = ("project", "collection", "artifact", "sweep")
"""The members of a value through which it belongs to an entity; a membership has two of them."""


def seen_by(store: Store, user: User) -> Store:
    """The store as `user` may use it."""
    return store if user.admin else cast("Store", _SeenStore(store, user))


class _Seen:
    """One part of the store, with what comes out of it looked at. What `_form` does not name is not there."""

    _form: type

    def __init__(self, part: Any, user: User) -> None:
        self._part = part
        self._user = user

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in vars(self._form):
            raise AttributeError(name)
        method = getattr(self._part, name)
        if name not in READS:
            self._user.must_write()
        return lambda *args, **named: self._shown(method(*args, **named))

    def _shown(self, found: Any) -> Any:
        """What the user sees of a result: of a list the elements, else all or nothing."""
        if isinstance(found, list):
            return [each for each in found if self._sees(each)]
        return found if self._sees(found) else None

    def _there(self, found: Any, what: str) -> Any:
        if not self._sees(found):
            raise not_found(what)
        return found

    def _sees(self, value: Any) -> bool:
        return all(self._user.sees(entity) for entity in _entities(value))


class _SeenStore(_Seen):
    _form = Store

    @property
    def artifacts(self) -> Artifacts:
        return cast("Artifacts", _SeenArtifacts(self._part.artifacts, self._user))

    @property
    def sweeps(self) -> Sweeps:
        return cast("Sweeps", _SeenSweeps(self._part.sweeps, self._user))

    def was_deleted(self, entity: str, project: str, name: str) -> bool:
        return self._user.sees(entity) and self._part.was_deleted(entity, project, name)

    def runs(self, project_id: int | None = None, limit: int | None = None) -> list[Run]:
        """Of all projects only those that are seen are read: a limit must not count what is hidden."""
        if project_id is not None:
            return cast("list[Run]", self._part.runs(project_id, limit))
        found = [run for project in self._shown(self._part.projects()) for run in self._part.runs(project.id, limit)]
        return sorted(found, key=lambda run: (run.created_at, run.id), reverse=True)[:limit]

    def make_project(self, entity: str, name: str) -> Project:
        self._user.must_write(entity)
        return cast("Project", self._part.make_project(entity, name))

    def open_run(
        self, entity: str, project: str, name: str, edit: RunEdit, user: str | None = None
    ) -> tuple[Run, bool]:
        self._user.must_write(entity)
        return cast("tuple[Run, bool]", self._part.open_run(entity, project, name, edit, user))


class _SeenArtifacts(_Seen):
    _form = Artifacts

    def create(self, draft: Draft) -> Artifact:
        self._user.must_write(draft.entity)
        return cast("Artifact", self._part.create(draft))

    def get(self, artifact_id: int) -> Artifact:
        return cast("Artifact", self._there(self._part.get(artifact_id), "artifact"))

    def collection_of(self, collection_id: int) -> Collection:
        return cast("Collection", self._there(self._part.collection_of(collection_id), "artifact collection"))

    def members(self, series: Collection, window: Window | None = None) -> list[Membership]:
        """Links lead to other entities: a window must not count what is hidden."""
        if not series.portfolio or window is None:
            return cast("list[Membership]", self._shown(self._part.members(series, window)))
        return window.of(self.members(series))

    def count(self, series: Collection) -> int:
        return len(self.members(series)) if series.portfolio else cast("int", self._part.count(series))

    def manifest(self, manifest_id: int) -> Any:
        found = self._part.manifest(manifest_id)
        return found if found and self._shown(self._part.get(found.artifact_id)) else None

    def link(self, artifact_id: int, entity: str, project: str, name: str, aliases: list[str]) -> Membership:
        self._user.must_write(entity)
        return cast("Membership", self._part.link(artifact_id, entity, project, name, aliases))


class _SeenSweeps(_Seen):
    _form = Sweeps

    def make(self, entity: str, project: str, edit: SweepEdit, user: str | None = None) -> Sweep:
        self._user.must_write(entity)
        return cast("Sweep", self._part.make(entity, project, edit, user))

    def get(self, sweep_id: int) -> Sweep:
        return cast("Sweep", self._there(self._part.get(sweep_id), "sweep"))

    def agent(self, agent_id: int) -> Agent:
        return cast("Agent", self._there(self._part.agent(agent_id), "agent"))


def _entities(value: Any) -> Iterator[str]:
    """The entities to which a value belongs; none for a plain number, text or list of bytes."""
    if isinstance(value, Project):
        yield value.entity
    else:
        for owner in _OWNERS:
            part = getattr(value, owner, None)
            if part is not None:
                yield from _entities(part)
