"""`backhaul export`: a run's rows as a file that other programs read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from backhaul.cli.pipe import end_with_the_reader
from backhaul.cli.render import STDERR, show_error
from backhaul.counted import counted
from backhaul.errors import LogDamaged, UsageError
from backhaul.runs.export import Format, What, export_rows, format_of
from backhaul.runs.local_run import LocalRun, open_run
from backhaul.runs.new_file import new_file


@click.command("export")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    required=True,
    help="The file; - is stdout.",
)
@click.option(
    "--what",
    type=click.Choice([what.value for what in What]),
    default=What.HISTORY.value,
    show_default=True,
    help="The rows that were logged, the system metrics, or the console lines.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in Format]),
    help="Instead of what the file's name ends in.",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def command(path: Path, output: Path, what: str, form: str | None, force: bool) -> None:
    """Write a run's rows to a CSV, JSON Lines, Parquet or Arrow file. Reads only; no network.

    PATH is a run directory, a .wandb file, or latest-run. Parquet and Arrow need `pip install 'backhaul[export]'`.
    """
    chosen = Format(form) if form else format_of(output)
    if chosen is None:
        raise click.UsageError("Name a file that ends in .csv, .jsonl, .parquet or .arrow, or give --format.")
    run = open_run(path)
    if str(output) == "-":
        end_with_the_reader()
        export_rows(run, What(what), chosen, sys.stdout.buffer)
    else:
        if not force and os.path.lexists(output):
            raise UsageError(
                f"{output} exists already, and is not overwritten.",
                next="Replace it with --force, or name another file.",
            )
        with new_file(output, replace=force) as file:
            count = export_rows(run, What(what), chosen, file)
        STDERR.print(f"{counted(count, 'row')} of {what} written to {output}", markup=False)
    sys.exit(_exit_code(run))


def _exit_code(run: LocalRun) -> int:
    """What could not be read is told beside what was written."""
    if run.is_complete:
        return 0
    lost = "" if run.lost_records is None else f" ({run.lost_records} of them)"
    error = LogDamaged(
        f"Records inside the log were destroyed{lost}; what was written is all that can be read.",
        safe="The damaged log is unchanged.",
        next="Look for an undamaged copy of the log; if there is none, this is all there is.",
    )
    show_error(error)
    return error.exit_code
