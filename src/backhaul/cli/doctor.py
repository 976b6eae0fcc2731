"""`backhaul doctor`: why runs are stuck, with evidence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from backhaul.cli.doctor_view import show_diagnosis
from backhaul.cli.render import show_error
from backhaul.cli.state_folder import state_folder
from backhaul.doctor.examination import examine
from backhaul.doctor.patient import Surroundings
from backhaul.errors import BackhaulError
from backhaul.runs.find import find_runs


@click.command("doctor")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--fix", is_flag=True, help="Mend what is provably safe to mend; never deletes data.")
@click.option("-v", "--verbose", is_flag=True, help="Show the evidence of every finding.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, paths: tuple[Path, ...], fix: bool, verbose: bool, as_json: bool) -> None:
    """Find out why runs are stuck, and say what to do. Reads every log whole; no network.

    PATH is what `backhaul sync` takes.
    """
    try:
        directories = find_runs(paths, env=os.environ, cwd=Path.cwd())
        folders = tuple(dict.fromkeys(directory.path.parent for directory in directories))
        surroundings = Surroundings(os.environ, Path.cwd(), Path.home(), folders)
        diagnosis = examine(directories, surroundings, state_folder(), fix=fix)
    except BackhaulError as error:
        if as_json:
            print(json.dumps({"findings": [], "error": error.as_json(), "exit_code": error.exit_code}))
        show_error(error)
        ctx.exit(error.exit_code)
    if as_json:
        findings = [finding.as_json() for finding in diagnosis.findings]
        print(json.dumps({"findings": findings, "exit_code": diagnosis.exit_code}, ensure_ascii=False))
    else:
        show_diagnosis(diagnosis, verbose=verbose)
    ctx.exit(diagnosis.exit_code)
