"""Where runs are sent: a server with, if the user said so, an entity, a project and a run id of his choice."""

from __future__ import annotations

from dataclasses import dataclass

from backhaul.runs.identity import RunIdentity

# What the SDK calls the project of a run that names none.
DEFAULT_PROJECT = "uncategorized"


@dataclass(frozen=True, slots=True)
class Destination:
    """A server and what overrides the log's own names.

    `default_*` come from settings and fill gaps only. `name` is how a ledger knows the server, its address by default.
    """

    base_url: str
    name: str | None = None
    entity: str | None = None
    project: str | None = None
    run_id: str | None = None
    default_entity: str | None = None
    default_project: str | None = None

    def entity_of(self, identity: RunIdentity) -> str | None:
        """The entity a run goes to; None is the default entity of the API key's owner."""
        return self.entity or identity.entity or self.default_entity or None

    def project_of(self, identity: RunIdentity) -> str:
        """The project a run goes to."""
        return self.project or identity.project or self.default_project or DEFAULT_PROJECT

    def run_id_of(self, identity: RunIdentity) -> str:
        """The id under which a run is sent."""
        return self.run_id or identity.run_id

    def key(self, identity: RunIdentity) -> str:
        """The name under which a ledger remembers this destination of this run."""
        path = "/".join((self.entity_of(identity) or "", self.project_of(identity), self.run_id_of(identity)))
        return f"{self.name or self.base_url.rstrip('/')} {path}"
