"""One visit of a page: what the address asks for, and where the answer is read from."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request

from backhaul.depot import numbers
from backhaul.depot.callers import base_of
from backhaul.depot.graphql.context import Context, Services
from backhaul.depot.model import Project, Run, User
from backhaul.depot.refusal import not_found
from backhaul.depot.store import Store


@dataclass(frozen=True, slots=True)
class Visit:
    """A request for a page or for its JSON twin; the store of its services is as the user may use it."""

    services: Services
    request: Request
    user: User

    @property
    def store(self) -> Store:
        """Where everything lies."""
        return self.services.store

    @property
    def context(self) -> Context:
        """What filters and orders of run lists are read with."""
        return Context(self.services, self.base, self.user)

    @property
    def base(self) -> str:
        """The address under which the browser reached the depot, without a slash at its end."""
        return base_of(self.request, self.services.public_url).rstrip("/")

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self.services.clock()

    def part(self, name: str) -> str:
        """A part of the path, such as the `entity`."""
        return str(self.request.path_params[name])

    def text(self, name: str, default: str = "") -> str:
        """A field of the query, without blanks at its ends."""
        return self.request.query_params.get(name, default).strip()

    def texts(self, name: str) -> list[str]:
        """All values of a field of the query that is given several times; empty ones left out."""
        return [value.strip() for value in self.request.query_params.getlist(name) if value.strip()]

    def number(self, name: str, default: int, least: int = 0, most: int = 1 << 53) -> int:
        """A whole number of the query, brought into its bounds; the default for anything else."""
        found = numbers.whole(self.text(name))
        return default if found is None else max(least, min(found, most))

    def address(self, **changes: str | int | list[str] | None) -> str:
        """This page's address with some fields of its query changed; None takes a field away."""
        kept = [pair for pair in self.request.query_params.multi_items() if pair[0] not in changes]
        added = [(name, value) for name, value in changes.items() if value is not None]
        query = urlencode([*kept, *added], doseq=True)
        path = self.request.scope.get("raw_path", b"").decode("ascii", "replace") or self.request.url.path
        return f"{path.partition('?')[0]}?{query}" if query else path.partition("?")[0]

    def project(self) -> Project:
        """The project that the path names. Refused with 404 when there is none."""
        entity, name = self.part("entity"), self.part("project")
        project = self.store.project(entity, name)
        if project is None:
            raise not_found(f"project {entity}/{name}")
        return project

    def run(self) -> Run:
        """The run that the path names. Refused with 404 when there is none."""
        return self.run_named(self.part("run"))

    def run_named(self, name: str) -> Run:
        """The run of that id in the path's project. Refused with 404 when there is none."""
        entity, project = self.part("entity"), self.part("project")
        run = self.store.run(entity, project, name)
        if run is None:
            raise not_found(f"run {entity}/{project}/{name}")
        return run
