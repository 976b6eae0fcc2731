"""`backhaul repair`: write a new, valid log of everything that can still be read."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from backhaul.cli.document import print_document
from backhaul.cli.failure import end_with
from backhaul.cli.repair_view import show_repair
from backhaul.errors import BackhaulError
from backhaul.repair import Mode, repair_run
from backhaul.runs.single import single_run


@click.command("repair")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Where the new log is written.")
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.SALVAGE.value,
    show_default=True,
    help="Keep every readable record, or (tail) only those before the first damage.",
)
@click.option(
    "--add-exit", type=click.IntRange(0, 255), metavar="CODE", help="Add this exit code, if the run has none."
)
@click.option("--mend-metadata", is_flag=True, help="Cut tags and job types that servers refuse to 64 characters.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    path: Path,
    output: Path | None,
    mode: str,
    add_exit: int | None,
    mend_metadata: bool,
    as_json: bool,
) -> None:
    """Write a new, valid log of everything that can still be read of one run. The original is never touched.

    PATH is a run directory or a .wandb file. Without -o the new run lies in the folder `repaired` beside the run's own,
    where a sync of the whole folder does not send it a second time; sync it by its own path.
    """
    try:
        run = single_run(path)
        report = repair_run(run, output, mode=Mode(mode), add_exit=add_exit, mend_metadata=mend_metadata)
    except BackhaulError as error:
        end_with(error, as_json=as_json, path=str(path), output=None)
    if as_json:
        print_document(report.as_json())
    show_repair(report)
    sys.exit(report.exit_code)
