"""`backhaul doctor`: why runs are stuck, with evidence."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from backhaul.cli.doctor_view import show_diagnosis
from backhaul.cli.document import print_document
from backhaul.cli.failure import end_with
from backhaul.cli.opened import opened
from backhaul.cli.pipe import end_with_the_reader
from backhaul.doctor.diagnosis import Diagnosis
from backhaul.doctor.examination import examine
from backhaul.doctor.finding import Finding
from backhaul.doctor.network import findings_of
from backhaul.doctor.patient import Surroundings
from backhaul.doctor.remote import look
from backhaul.doctor.way import Step, Way
from backhaul.errors import BackhaulError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.find import find_runs
from backhaul.runs.here import here
from backhaul.runs.home import home
from backhaul.runs.open_files import OpenFiles
from backhaul.sync.connection import connected, destination_of, user_settings
from backhaul.sync.ledger import read_ledger
from backhaul.sync.local_depot import running_depot
from backhaul.sync.state_folder import state_folder
from backhaul.sync.target import OWN_DEPOT, Target
from backhaul.wire.remote import RunAddress


@click.command("doctor")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--to", metavar="URL|depot", help="The server to try; by default the one that a sync would take.")
@click.option("-e", "--entity", metavar="NAME", help="Ask whether this entity may be written to.")
@click.option("-p", "--project", metavar="NAME", help="Ask whether this project may be written to.")
@click.option("--offline", is_flag=True, help="Leave out the network.")
@click.option(
    "--full-from",
    metavar="PERCENT",
    type=click.IntRange(1, 100),
    default=80,
    show_default=True,
    help="Tell of disks and quotas that are full to so many percent.",
)
@click.option("--fix", is_flag=True, help="Mend what is provably safe to mend; never deletes data.")
@click.option("-v", "--verbose", is_flag=True, help="Show the evidence of every finding.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    to: str | None,
    entity: str | None,
    project: str | None,
    offline: bool,
    full_from: int,
    fix: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Find out why runs are stuck, and say what to do. Reads every log whole; asks the server, sends it no run.
    Runs that should be there are asked for as `backhaul verify` does.

    PATH is what `backhaul sync` takes.
    """
    try:
        visit = ctx.with_resource(opened(paths))
        directories = find_runs(visit.paths, env=os.environ, cwd=here())
        surroundings = _surroundings(directories, full_from / 100)
        way, steps, remote = _way(directories, Target(to, entity, project)), list[Step](), list[Finding]()
        if not offline:
            steps, remote = _asked(directories, Target(to, entity, project), way, surroundings.open_files)
        diagnosis = examine(directories, surroundings, fix=fix, remote=remote)
    except BackhaulError as error:
        end_with(error, as_json=as_json, findings=[])
    end_with_the_reader()
    _show(diagnosis, way, steps, verbose=verbose, as_json=as_json)
    ctx.exit(visit.exit_code(diagnosis.exit_code))


def _surroundings(directories: Sequence[RunDirectory], full_from: float) -> Surroundings:
    folders = tuple(dict.fromkeys(directory.path.parent for directory in directories))
    return Surroundings(os.environ, here(), home(), folders, state_folder(), full_from=full_from)


def _way(directories: Sequence[RunDirectory], target: Target) -> Way:
    settings = user_settings()
    there = destination_of(target, settings)
    return Way(
        there.base_url,
        settings,
        os.environ,
        home(),
        target.entity or settings.entity,
        target.project or settings.project,
        _sent_before(directories, there.name or there.base_url.rstrip("/")),
    )


def _sent_before(directories: Sequence[RunDirectory], name: str) -> RunAddress | None:
    """A run that this destination has, by the ledgers."""
    for directory in directories:
        for to, known in read_ledger(directory.log, state_folder()).items():
            where, _, place = to.rpartition(" ")
            if where == name and known.entity and known.project:
                return RunAddress(known.entity, known.project, place.rpartition("/")[2])
    return None


def _asked(
    directories: Sequence[RunDirectory], target: Target, way: Way, open_files: OpenFiles
) -> tuple[list[Step], list[Finding]]:
    """The steps of the way; what they say, and what the server says of the runs if it can be asked."""
    with _own_depot(target, way):
        steps = asyncio.run(_taken(way))
        found = list(findings_of(way, steps))
        if all(step.error is None for step in steps):
            with connected(target) as there:
                found += asyncio.run(look(directories, there, open_files))
    return steps, found


@contextmanager
def _own_depot(target: Target, way: Way) -> Iterator[None]:
    """The user's own depot, if that is the target, for as long as it is asked."""
    if target.to != OWN_DEPOT:
        yield
        return
    with running_depot() as depot:
        way.base_url, way.api_key = depot.url, depot.api_key
        yield


async def _taken(way: Way) -> list[Step]:
    return [step async for step in way.steps()]


def _show(diagnosis: Diagnosis, way: Way, steps: Sequence[Step], *, verbose: bool, as_json: bool) -> None:
    if not as_json:
        show_diagnosis(diagnosis, steps, way.rate, verbose=verbose)
        return
    network = [{"step": step.name, "seconds": round(step.seconds, 4), "detail": step.detail} for step in steps]
    document = diagnosis.as_json() | {"network": network, "bytes_per_second": way.rate and round(way.rate)}
    print_document(document)
