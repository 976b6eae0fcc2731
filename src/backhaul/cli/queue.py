"""`backhaul queue`: see and steer what the watcher works on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from backhaul.cli.document import print_document
from backhaul.cli.failure import end_with
from backhaul.cli.pipe import end_with_the_reader
from backhaul.cli.queue_view import show_changed, show_queue
from backhaul.errors import BackhaulError, NoRunsFound
from backhaul.runs.find import find_runs
from backhaul.runs.here import here
from backhaul.sync.connection import destination_of, user_settings
from backhaul.sync.state_folder import state_folder
from backhaul.sync.target import Target
from backhaul.unattended.judgement import Judge
from backhaul.unattended.queue.entry import OPEN, Item, Key, QueueState
from backhaul.unattended.queue.interface import Queue
from backhaul.unattended.queue.opening import VARIABLE, open_queue
from backhaul.unattended.rebuilding import rebuild as rebuilt

_RETRIED = frozenset({QueueState.BLOCKED, QueueState.QUARANTINED})


def queue_option(function: click.decorators.FC) -> click.decorators.FC:
    """Where the queue is."""
    text = "A file of this host, or postgresql://…; without it $BACKHAUL_QUEUE, or your own in the state folder."
    return click.option("--queue", "where", metavar="PATH|URL", envvar=VARIABLE, help=text)(function)


def _json_option(function: click.decorators.FC) -> click.decorators.FC:
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(function)


def _paths(required: bool = False) -> Callable[[click.decorators.FC], click.decorators.FC]:
    metavar = "PATH..." if required else "[PATH]..."
    return click.argument("paths", metavar=metavar, nargs=-1, required=required, type=click.Path(path_type=Path))


@click.group("queue", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """See and steer the queue of runs on their way home. Without a subcommand: list it.

    PATH is a run directory, a log, or any folder above; it means the runs of the queue that lie there.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, where=None, as_json=False, show_all=False)


@command.command("list")
@queue_option
@click.option("--all", "show_all", is_flag=True, help="Also what is verified, and what was dropped.")
@_json_option
def list_(where: str | None, show_all: bool, as_json: bool) -> None:
    """Show the runs with their states, attempts, next try, and the last error."""
    with _opened(where, as_json=as_json) as queue:
        items, workers, paused, now = queue.items(), queue.workers(), queue.paused, time.time()
    end_with_the_reader()
    if as_json:
        document = {
            "paused": paused,
            "workers": [
                {"owner": worker.owner, "running_for": now - worker.began_at, "seen": now - worker.seen_at,
                 "says": worker.words} for worker in workers
            ],
            "counts": {str(state): sum(item.state is state for item in items) for state in QueueState},
            "runs": [item.as_json(now) for item in items if show_all or item.state in OPEN],
            "exit_code": 0,
        }  # fmt: skip
        print_document(document)
    else:
        show_queue(items, workers, now, paused=paused, show_all=show_all)


@command.command("retry")
@_paths()
@queue_option
@_json_option
def retry(paths: tuple[Path, ...], where: str | None, as_json: bool) -> None:
    """Have runs tried now. Without PATH: all that are blocked or quarantined."""

    def change(queue: Queue, items: Sequence[Item]) -> int:
        return queue.ask(item.key for item in items if paths or item.state in _RETRIED)

    _change(where, paths, change, "asked for", as_json=as_json)


@command.command("drop")
@_paths(required=True)
@queue_option
@_json_option
def drop(paths: tuple[Path, ...], where: str | None, as_json: bool) -> None:
    """Leave runs alone for good: they stay on the disk, and are not noticed again. `retry PATH` brings them back."""
    _change(where, paths, lambda queue, items: queue.drop(_keys(items)), "dropped", as_json=as_json)


@command.command("pause")
@_paths()
@queue_option
@_json_option
def pause(paths: tuple[Path, ...], where: str | None, as_json: bool) -> None:
    """Begin nothing new until `resume`: of the runs under PATH, or at all. What is under way is finished."""
    _change(where, paths, _pausing(paths, on=True), "paused", as_json=as_json)


@command.command("resume")
@_paths()
@queue_option
@_json_option
def resume(paths: tuple[Path, ...], where: str | None, as_json: bool) -> None:
    """Go on with what was paused."""
    _change(where, paths, _pausing(paths, on=False), "resumed", as_json=as_json)


@command.command("rebuild")
@_paths()
@queue_option
@click.option("--to", "to", metavar="URL|depot", help="The server that the ledgers are asked about.")
@click.option("-e", "--entity", metavar="NAME", help="Runs go to this entity, whatever the log says.")
@click.option("-p", "--project", metavar="NAME", help="Runs go to this project, whatever the log says.")
@_json_option
def rebuild(paths: tuple[Path, ...], where: str | None, as_json: bool, **target: str | None) -> None:
    """Make the queue anew of the runs under PATH and their ledgers, and of those that it knows. No network."""
    with _opened(where, as_json=as_json) as queue:
        directories = find_runs(paths, env=os.environ, cwd=here()) if paths else []
        destination = destination_of(Target(target["to"], target["entity"], target["project"]), user_settings())
        done = rebuilt(queue, directories, Judge(destination, state_folder()))
    states = {str(state): sum(entry.state is state for entry in done.entries) for state in QueueState}
    if as_json:
        print_document({"runs": len(done.entries), "gone": len(done.gone), "states": states, "exit_code": 0})
    else:
        show_changed(len(done.entries), "rebuilt", {state: count for state, count in states.items() if count})


@contextmanager
def _opened(where: str | None, *, as_json: bool) -> Iterator[Queue]:
    """The queue; an error inside ends the command."""
    try:
        with open_queue(where) as queue:
            yield queue
    except BackhaulError as error:
        end_with(error, as_json=as_json, runs=[])


def _change(
    where: str | None,
    paths: Sequence[Path],
    change: Callable[[Queue, Sequence[Item]], int],
    done: str,
    *,
    as_json: bool,
) -> None:
    with _opened(where, as_json=as_json) as queue:
        count = change(queue, _under(paths, queue.items()))
    if as_json:
        print_document({"runs": count, "exit_code": 0})
    else:
        show_changed(count, done)


def _pausing(paths: Sequence[Path], *, on: bool) -> Callable[[Queue, Sequence[Item]], int]:
    return lambda queue, items: queue.pause(_keys(items) if paths else None, on=on)


def _keys(items: Iterable[Item]) -> list[Key]:
    return [item.key for item in items]


def _under(paths: Sequence[Path], items: Sequence[Item]) -> Sequence[Item]:
    """Those that lie under one of the paths; all without paths. Raises NoRunsFound for a path that has none."""
    if not paths:
        return items
    asked = {path.resolve().parent if path.name == "files" else path.resolve(): path for path in paths}
    hit: set[Path] = set()
    found: list[Item] = []
    for item in items:
        if above := asked.keys() & {item.entry.log, *item.entry.log.parents}:
            hit |= above
            found.append(item)
    for folder, path in asked.items():
        if folder not in hit:
            raise NoRunsFound(f"No run of the queue lies under {path}.", next="See `backhaul queue list --all`.")
    return found
