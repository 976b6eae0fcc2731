"""`backhaul doctor`: why runs are stuck, with evidence."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

import click

from backhaul.cli.doctor_view import show_diagnosis
from backhaul.cli.render import show_error
from backhaul.doctor.diagnosis import Diagnosis
from backhaul.doctor.examination import examine
from backhaul.doctor.finding import Finding
from backhaul.doctor.network import Step, Way, findings_of
from backhaul.doctor.patient import Surroundings
from backhaul.doctor.remote import look
from backhaul.errors import BackhaulError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.find import find_runs
from backhaul.sync.connection import Target, connected
from backhaul.sync.ledger import read_ledger
from backhaul.sync.state_folder import state_folder
from backhaul.wire.remote import RunAddress
from backhaul.wire.settings import load_settings


@click.command("doctor")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--to", metavar="URL", help="The server to try; by default the one that a sync would take.")
@click.option("-e", "--entity", help="Ask whether this entity may be written to.")
@click.option("-p", "--project", help="Ask whether this project may be written to.")
@click.option("--offline", is_flag=True, help="Leave out the network.")
@click.option(
    "--full-from",
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
        directories = find_runs(paths, env=os.environ, cwd=Path.cwd())
        folders = tuple(dict.fromkeys(directory.path.parent for directory in directories))
        way = _way(directories, to, entity, project)
        steps = [] if offline else asyncio.run(_taken(way))
        remote = [] if offline else findings_of(way, steps)
        if steps and all(step.error is None for step in steps):
            remote += _asked(directories, Target(to, entity, project))
        surroundings = Surroundings(os.environ, Path.cwd(), Path.home(), folders, full_from=full_from / 100)
        diagnosis = examine(directories, surroundings, state_folder(), fix=fix, remote=remote)
    except BackhaulError as error:
        if as_json:
            print(json.dumps({"findings": [], "error": error.as_json(), "exit_code": error.exit_code}))
        show_error(error)
        ctx.exit(error.exit_code)
    _show(diagnosis, way, steps, verbose=verbose, as_json=as_json)
    ctx.exit(diagnosis.exit_code)


def _way(directories: Sequence[RunDirectory], to: str | None, entity: str | None, project: str | None) -> Way:
    settings = load_settings(os.environ, Path.cwd(), Path.home())
    base_url = to or settings.base_url
    return Way(
        base_url,
        settings,
        os.environ,
        Path.home(),
        entity or settings.entity,
        project or settings.project,
        _sent_before(directories, base_url),
    )


def _sent_before(directories: Sequence[RunDirectory], base_url: str) -> RunAddress | None:
    """A run that this server has, by the ledgers."""
    for directory in directories:
        for to, known in read_ledger(directory.log, state_folder()).items():
            url, _, place = to.partition(" ")
            if url == base_url.rstrip("/") and known.entity and known.project:
                return RunAddress(known.entity, known.project, place.rpartition("/")[2])
    return None


def _asked(directories: Sequence[RunDirectory], target: Target) -> list[Finding]:
    with connected(target) as there:
        return asyncio.run(look(directories, there, state_folder()))


async def _taken(way: Way) -> list[Step]:
    return [step async for step in way.steps()]


def _show(diagnosis: Diagnosis, way: Way, steps: Sequence[Step], *, verbose: bool, as_json: bool) -> None:
    if not as_json:
        show_diagnosis(diagnosis, steps, way.rate, verbose=verbose)
        return
    network = [{"step": step.name, "seconds": round(step.seconds, 4), "detail": step.detail} for step in steps]
    document = diagnosis.as_json() | {"network": network, "bytes_per_second": way.rate and round(way.rate)}
    print(json.dumps(document, ensure_ascii=False))
