"""`backhaul verify`: ask the destination again; nothing is sent, and no marker is believed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from backhaul.cli.document import print_document
from backhaul.cli.failure import end_with
from backhaul.cli.line_options import timeout_option
from backhaul.cli.opened import bundles_json, opened
from backhaul.cli.progress import progress_view
from backhaul.cli.render import STDERR, show_outcomes, show_warnings
from backhaul.errors import BackhaulError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.roots import roots_of
from backhaul.sync.connection import Connection, connected
from backhaul.sync.door import confirm, wanted_runs
from backhaul.sync.receipt_check import ReceiptOnFile, check_receipt, read_receipt
from backhaul.sync.report import Report
from backhaul.sync.retry import Patience, Retrier
from backhaul.sync.signature import own_fingerprint
from backhaul.sync.state_folder import state_folder
from backhaul.sync.target import Target


@click.command("verify")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--to", "to", metavar="URL|depot", help="The server; `depot` is your own on this machine.")
@click.option("-e", "--entity", metavar="NAME", help="Look under this entity, whatever the log says.")
@click.option("-p", "--project", metavar="NAME", help="Look under this project, whatever the log says.")
@click.option("--id", "run_id", metavar="ID", help="Look under this run id (one run only).")
@click.option(
    "-j", "--jobs", metavar="N", type=click.IntRange(1, 64), default=4, show_default=True, help="Runs at a time."
)
@click.option(
    "--root", "roots", multiple=True, metavar="OLD=NEW", help="What was recorded under OLD lies under NEW now."
)
@click.option("--deep", is_flag=True, help="Read every history row back and compare it.")
@click.option(
    "--receipt", metavar="FILE", type=click.Path(path_type=Path), help="Check this receipt instead of run directories."
)
@timeout_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(
    ctx: click.Context, /, paths: tuple[Path, ...], as_json: bool, receipt: Path | None, **choices: Any
) -> None:
    """Ask the server whether it holds runs whole: lines, last step, summary, config, files, artifacts.

    Works for runs that any program has sent. A run that is all there gets a receipt, and counts as verified from then
    on. PATH is what `backhaul sync` takes.
    """
    target = Target(choices["to"], choices["entity"], choices["project"], choices["run_id"], choices["timeout"])
    try:
        if receipt is not None:
            _check_receipt(receipt, target, as_json=as_json)
            ctx.exit(0)
        with opened(paths) as visit, connected(target) as there:
            show_warnings(there.settings.warnings)
            directories = wanted_runs(visit.paths, choices["run_id"], include_online=True)
            report = _report(directories, choices, there)
    except BackhaulError as error:
        end_with(error, as_json=as_json, runs=[])
    exit_code = visit.exit_code(report.exit_code)
    if as_json:
        print_document(report.as_json() | bundles_json(visit) | {"exit_code": exit_code})
    show_outcomes(report.runs)
    ctx.exit(exit_code)


def _report(directories: Sequence[RunDirectory], choices: dict[str, Any], there: Connection) -> Report:
    sizes = {directory.path: 0 for directory in directories}
    with progress_view(STDERR, sizes) as on_event:
        asked = confirm(
            directories,
            there,
            jobs=choices["jobs"],
            deep=choices["deep"],
            roots=roots_of(choices["roots"]),
            on_event=on_event,
        )
        return asyncio.run(asked)


def _check_receipt(path: Path, target: Target, *, as_json: bool) -> None:
    """Check signature and destination; raises what is wrong with either."""
    receipt = read_receipt(path)
    # The user's own depot has another address each time it runs; the receipt names the one it had.
    with connected(replace(target, to=target.to or receipt.url)) as there:
        show_warnings(there.settings.warnings)
        asyncio.run(_ask(receipt, there))
    own = receipt.signer == own_fingerprint(state_folder())
    whose = "your key" if own else f"the key {receipt.signer}, which is not yours"
    if as_json:
        document = {"receipt": str(path), "run": str(receipt.address), "signer": receipt.signer, "own_key": own}
        print_document({**document, "exit_code": 0})
    else:
        print(f"{receipt.address} is there as the receipt says; it was signed with {whose}.")


async def _ask(receipt: ReceiptOnFile, there: Connection) -> None:
    async with there.server() as server:
        await check_receipt(receipt, server, Retrier(Patience(), None))
