"""Sweeps and their agents, as the depot asks for them."""

from __future__ import annotations

from typing import Protocol

from backhaul.depot.sweeps import Agent, Proposal, Sweep, SweepEdit


class Sweeps(Protocol):
    """Searches over configurations, the agents that try them, and the points that these were given."""

    def make(self, entity: str, project: str, edit: SweepEdit, user: str | None = None) -> Sweep:
        """A new sweep; the project is made on first use."""

    def edit(self, sweep_id: int, edit: SweepEdit) -> Sweep:
        """The sweep with `edit` applied."""

    def get(self, sweep_id: int) -> Sweep:
        """The sweep of that number. Refused with 404 when there is none."""

    def named(self, project_id: int, name: str) -> Sweep | None:
        """The project's sweep of that name, or None."""

    def every(self, project_id: int) -> list[Sweep]:
        """The project's sweeps, newest first."""

    def make_agent(self, sweep_id: int, host: str) -> Agent:
        """A new agent of the sweep."""

    def agent(self, agent_id: int) -> Agent:
        """The agent of that number. Refused with 404 when there is none."""

    def agents(self, sweep_id: int) -> list[Agent]:
        """The sweep's agents, oldest first."""

    def beat(self, agent_id: int) -> None:
        """Notes that the agent is alive."""

    def propose(self, agent_id: int, count: int | None) -> Proposal | None:
        """Gives the agent the sweep's next point, which no other gets; None when all `count` were given away."""
