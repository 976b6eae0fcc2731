"""Sweeps as plain values: what is searched, and who tries it."""

from __future__ import annotations

from dataclasses import dataclass

from backhaul.depot.model import Project

PENDING, RUNNING, FINISHED = "PENDING", "RUNNING", "FINISHED"
PAUSED, STOPPED, CANCELED = "PAUSED", "STOPPED", "CANCELED"
STATES = frozenset({PENDING, RUNNING, FINISHED, PAUSED, STOPPED, CANCELED})


@dataclass(frozen=True, slots=True)
class Sweep:
    """A search over configurations; `config` is YAML, `prior_runs` a filter (JSON) for runs that belong to it, too."""

    id: int
    project: Project
    name: str
    config: str
    state: str
    created_at: float
    updated_at: float
    display_name: str | None = None
    description: str | None = None
    prior_runs: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class SweepEdit:
    """What changes of a sweep; None leaves alone."""

    config: str | None = None
    state: str | None = None
    display_name: str | None = None
    description: str | None = None
    prior_runs: str | None = None


@dataclass(frozen=True, slots=True)
class Agent:
    """A process that tries what a sweep proposes, one run after the other; `runs` are their ids."""

    id: int
    sweep: Sweep
    host: str
    created_at: float
    heartbeat_at: float
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an agent should try next, by its number in the sweep, and the id of the run in which it does."""

    number: int
    run: str
