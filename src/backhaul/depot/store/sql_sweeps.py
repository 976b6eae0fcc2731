"""The sweeps of a store in a database."""

from __future__ import annotations

from backhaul.depot.store import sweeps
from backhaul.depot.store.database import Database
from backhaul.depot.store.interface import Clock
from backhaul.depot.sweeps import Agent, Proposal, Sweep, SweepEdit


class SqlSweeps:
    """A `Sweeps` in the store's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def make(self, entity: str, project: str, edit: SweepEdit, user: str | None = None) -> Sweep:
        """See `Sweeps`."""
        return self._database.write(lambda c: sweeps.make(c, entity, project, edit, user, self._clock()))

    def edit(self, sweep_id: int, edit: SweepEdit) -> Sweep:
        """See `Sweeps`."""
        return self._database.write(lambda c: sweeps.edit(c, sweep_id, edit, self._clock()))

    def get(self, sweep_id: int) -> Sweep:
        """See `Sweeps`."""
        return self._database.read(lambda c: sweeps.get(c, sweep_id))

    def named(self, project_id: int, name: str) -> Sweep | None:
        """See `Sweeps`."""
        return self._database.read(lambda c: sweeps.named(c, project_id, name))

    def every(self, project_id: int) -> list[Sweep]:
        """See `Sweeps`."""
        return self._database.read(lambda c: sweeps.every(c, project_id))

    def make_agent(self, sweep_id: int, host: str) -> Agent:
        """See `Sweeps`."""
        return self._database.write(lambda c: sweeps.make_agent(c, sweep_id, host, self._clock()))

    def agent(self, agent_id: int) -> Agent:
        """See `Sweeps`."""
        return self._database.read(lambda c: sweeps.agent(c, agent_id))

    def agents(self, sweep_id: int) -> list[Agent]:
        """See `Sweeps`."""
        return self._database.read(lambda c: sweeps.agents(c, sweep_id))

    def beat(self, agent_id: int) -> None:
        """See `Sweeps`."""
        self._database.write(lambda c: sweeps.beat(c, agent_id, self._clock()))

    def propose(self, agent_id: int, count: int | None) -> Proposal | None:
        """See `Sweeps`."""
        return self._database.write(lambda c: sweeps.propose(c, agent_id, count, self._clock()))
