"""Who a run is: the fields of its run records that a server is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from backhaul.wandblog.state import State


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """A run as its latest run record describes it; empty texts and tuples mean "not given".

    `start_seconds` and `start_nanos` are when recording began (Unix time), None when the log does not say.
    """

    run_id: str
    project: str = ""
    entity: str = ""
    display_name: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    group: str = ""
    job_type: str = ""
    sweep: str = ""
    host: str = ""
    commit: str = ""
    repo: str = ""
    start_seconds: int | None = None
    start_nanos: int = 0
    resumes: bool = False

    def state(self) -> State:
        """The identity in values that JSON has, for `identity_from`."""
        return asdict(self)

    @property
    def start_time(self) -> float:
        """When recording began, in Unix seconds; 0 when the log does not say."""
        return (self.start_seconds or 0) + self.start_nanos / 1e9


def identity_from(state: State) -> RunIdentity:
    """The identity that gave this state."""
    return RunIdentity(**{**state, "tags": tuple(state["tags"])})


def identity_of(run: Any) -> RunIdentity:
    """The identity that a RunRecord gives."""
    started = run.HasField("start_time")
    return RunIdentity(
        run_id=run.run_id,
        project=run.project,
        entity=run.entity,
        display_name=run.display_name,
        notes=run.notes,
        tags=tuple(run.tags),
        group=run.run_group,
        job_type=run.job_type,
        sweep=run.sweep_id,
        host=run.host,
        commit=run.git.commit,
        repo=run.git.remote_url,
        start_seconds=run.start_time.seconds if started else None,
        start_nanos=run.start_time.nanos if started else 0,
        resumes=run.resume or run.resumed,
    )


def updated(identity: RunIdentity, run: Any) -> RunIdentity:
    """The identity after a later RunRecord, which is a whole snapshot; id and start time stay those of the first."""
    later = identity_of(run)
    return replace(
        later,
        run_id=identity.run_id,
        project=identity.project or later.project,
        entity=identity.entity or later.entity,
        host=later.host or identity.host,
        commit=later.commit or identity.commit,
        repo=later.repo or identity.repo,
        sweep=later.sweep or identity.sweep,
        start_seconds=identity.start_seconds if identity.start_seconds is not None else later.start_seconds,
        start_nanos=identity.start_nanos if identity.start_seconds is not None else later.start_nanos,
        resumes=identity.resumes,
    )
