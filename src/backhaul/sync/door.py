"""The one door to a sync and to a verification: the command line and the Python API come in here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from backhaul.errors import BackhaulError, Interrupted, UsageError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.find import find_runs
from backhaul.runs.here import here
from backhaul.runs.roots import AS_RECORDED, Roots, roots_of
from backhaul.sync.at_once import MOST_RUNS
from backhaul.sync.audit import audit_runs
from backhaul.sync.connection import Connection, connected
from backhaul.sync.engine import Engine
from backhaul.sync.event import OnEvent
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome
from backhaul.sync.policy import ArtifactPolicy
from backhaul.sync.report import Report
from backhaul.sync.reporter import Reporter
from backhaul.sync.retry import Patience
from backhaul.sync.state_folder import state_folder
from backhaul.sync.target import Target

Result = TypeVar("Result")
AnyPath = str | os.PathLike[str]


def sync(
    paths: AnyPath | Iterable[AnyPath] = (),
    *,
    to: str | None = None,
    entity: str | None = None,
    project: str | None = None,
    run_id: str | None = None,
    jobs: int = MOST_RUNS,
    roots: Iterable[str] = (),
    exclude: Iterable[str] = (),
    only_artifacts: Iterable[str] = (),
    no_artifacts: bool = False,
    max_file_size: int | None = None,
    bwlimit: str | None = None,
    timeout: float = 60.0,
    deadline: float | None = None,
    force: bool = False,
    live: bool = False,
    on_event: OnEvent | None = None,
) -> Report:
    """Bring runs to a server, prove that they arrived, and say what came of each.

    `paths` and the options are those of `backhaul sync`; `max_file_size` is in bytes, `timeout` and `deadline` in
    seconds. What befalls a run is in the report and never raised. `on_event` is told what happens, one event at a time,
    from another thread; what it raises is raised when all runs are done. Nothing is printed, no signal handler is set,
    and an event loop may be running in this thread. On KeyboardInterrupt the work stops where it is; the same call goes
    on there.

    Raises BackhaulError when there is no run, no credential, or something is wrong with the settings.
    """
    directories = wanted_runs(paths, run_id)
    options = SyncOptions(
        state_folder=state_folder(),
        jobs=jobs,
        roots=roots_of(roots),
        exclude=tuple(exclude),
        max_file_size=max_file_size,
        artifacts=ArtifactPolicy.of(only_artifacts, none=no_artifacts),
        deadline=deadline,
        force=force,
        live=live,
    )
    with connected(Target(to, entity, project, run_id, timeout, bwlimit)) as there:
        return _in_own_thread(deliver(directories, there, options, on_event))


def verify(
    paths: AnyPath | Iterable[AnyPath] = (),
    *,
    to: str | None = None,
    entity: str | None = None,
    project: str | None = None,
    run_id: str | None = None,
    jobs: int = 4,
    roots: Iterable[str] = (),
    deep: bool = False,
    timeout: float = 60.0,
    on_event: OnEvent | None = None,
) -> Report:
    """Ask a server whether it holds runs whole, whoever sent them, and say what came of each. Nothing is sent.

    `paths` and the options are those of `backhaul verify`; `timeout` is in seconds. A run that is all there has the
    state VERIFIED and a receipt from then on; what is missing or different is in its `error` and never raised.
    Threads, events and KeyboardInterrupt are as for `sync`.

    Raises BackhaulError when there is no run, no credential, or something is wrong with the settings.
    """
    directories = wanted_runs(paths, run_id, include_online=True)
    with connected(Target(to, entity, project, run_id, timeout)) as there:
        return _in_own_thread(
            confirm(directories, there, jobs=jobs, deep=deep, roots=roots_of(roots), on_event=on_event)
        )


def wanted_runs(
    paths: AnyPath | Iterable[AnyPath], run_id: str | None, *, include_online: bool = False
) -> list[RunDirectory]:
    """The runs under `paths`. Raises NoRunsFound; UsageError when several are to go under one `run_id`."""
    listed = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    directories = find_runs(listed, env=os.environ, cwd=here(), include_online=include_online)
    if run_id and len(directories) > 1:
        raise UsageError("--id is for one run, and there are more under this path.")
    return directories


async def deliver(
    directories: Sequence[RunDirectory],
    there: Connection,
    options: SyncOptions,
    on_event: OnEvent | None = None,
    why_stopped: Callable[[], BackhaulError] = lambda: Interrupted("Stopped."),
) -> Report:
    """Bring the runs there. When it is cancelled, what each run had reached is reported with `why_stopped`.

    Raises what `on_event` raised, when all runs are done.
    """
    reporter = Reporter(on_event)
    options = replace(options, exclude=(*there.settings.ignore_globs, *options.exclude))
    async with there.server() as server:
        engine = Engine(server, there.destination, options, reporter)
        try:
            outcomes = await engine.sync(directories)
        except asyncio.CancelledError:
            outcomes = engine.stopped(why_stopped())
    return _report(outcomes, there, reporter)


async def confirm(
    directories: Sequence[RunDirectory],
    there: Connection,
    *,
    jobs: int,
    deep: bool = False,
    patience: Patience | None = None,
    roots: Roots = AS_RECORDED,
    on_event: OnEvent | None = None,
) -> Report:
    """Hold the runs against what is there. Raises what `on_event` raised, when all runs are done."""
    reporter = Reporter(on_event)
    # What was acknowledged long ago is shown by now: nothing is waited for.
    patience = patience or Patience()
    options = SyncOptions(state_folder=state_folder(), jobs=jobs, roots=roots, read_back_for=0, patience=patience)
    async with there.server() as server:
        outcomes = await audit_runs(
            directories, server=server, destination=there.destination, options=options, reporter=reporter, deep=deep
        )
    return _report(outcomes, there, reporter)


def _report(outcomes: Sequence[Outcome], there: Connection, reporter: Reporter) -> Report:
    if reporter.failure is not None:
        raise reporter.failure
    return Report(tuple(outcomes), there.settings.warnings)


def _in_own_thread(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` to its end in a thread with a loop of its own, where asyncio sets no signal handlers either."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = Future()

    async def whole() -> Result:
        begun.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        return await work

    with ThreadPoolExecutor(1, "backhaul-sync") as thread:
        done = thread.submit(asyncio.run, whole())
        try:
            return done.result()
        except BaseException:
            if not done.done():
                # Ctrl-C came to the caller's thread; the work ends in good order before it goes on there.
                loop, task = begun.result()
                if task is not None:
                    loop.call_soon_threadsafe(task.cancel)
            raise
