"""`backhaul receipt`: what was proved on the other side of an air gap counts here too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from backhaul.cli.document import print_document
from backhaul.cli.failure import end_with
from backhaul.cli.render import STDERR, show_error
from backhaul.cli.visible import shown
from backhaul.counted import counted
from backhaul.errors import BackhaulError, UsageError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.find import find_runs
from backhaul.runs.here import here
from backhaul.sync.carried import Imported, RunNotHere, import_receipt, receipts_in
from backhaul.sync.mishap import told
from backhaul.sync.signature import made_fingerprint
from backhaul.sync.state_folder import state_folder


@click.group("receipt")
def command() -> None:
    """Receipts that were carried back from the other side of an air gap."""


@command.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--runs",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Where the runs lie; $WANDB_DIR or the current folder.",
)
@click.option(
    "--signed-by", metavar="FINGERPRINT", help="Believe receipts that were signed with this key, from now on."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def import_(
    ctx: click.Context, files: tuple[Path, ...], runs: tuple[Path, ...], signed_by: str | None, as_json: bool
) -> None:
    """Take over receipts of a sync on the far side: runs that lie here, the same to the last byte, count as verified.

    FILE is a receipt, or a folder with receipts. A receipt that is about anything else is refused with the reason.
    """
    try:
        directories = find_runs(runs, env=os.environ, cwd=here(), include_online=True)
        paths = receipts_in(files)
        if not paths:
            raise UsageError(f"There is no receipt in {files[0]}.")
    except BackhaulError as error:
        end_with(error, as_json=as_json, receipts=[])
    everything = [(path, _imported(path, directories, signed_by)) for path in paths]
    # A folder may have receipts of runs of others beside those that are wanted.
    results = [(path, result) for path, result in everything if path in files or not isinstance(result, RunNotHere)]
    errors = [result for _, result in results if isinstance(result, BackhaulError)]
    exit_code = max((error.exit_code for error in errors), default=0)
    if as_json:
        print_document({"receipts": [_as_json(*each) for each in results], "exit_code": exit_code})
    for _, result in results:
        if isinstance(result, BackhaulError):
            show_error(result)
        else:
            STDERR.print(
                f"{shown(result.run)}  [green]verified[/]  {shown(result.directory.path)}: read back by the key "
                f"{result.signer}",
                soft_wrap=True,
            )
    if len(results) < len(everything):
        STDERR.print(f"{counted(len(everything) - len(results), 'receipt')} of runs that do not lie here")
    ctx.exit(exit_code)


@command.command("key")
def key() -> None:
    """Print the fingerprint of your key, with which your receipts and bundles are signed."""
    print(made_fingerprint(state_folder()))


def _imported(path: Path, directories: Sequence[RunDirectory], signed_by: str | None) -> Imported | BackhaulError:
    try:
        return import_receipt(path, directories, state_folder(), signed_by)
    except (BackhaulError, OSError) as error:
        return told(error)


def _as_json(path: Path, result: Imported | BackhaulError) -> dict[str, object]:
    if isinstance(result, BackhaulError):
        return {"file": str(path), "run": None, "path": None, "receipt": None, "error": result.as_json()}
    return {"file": str(path), **result.as_json(), "error": None}
