"""`backhaul unpack`: take the runs out of a bundle."""

from __future__ import annotations

from pathlib import Path

import click

from backhaul.bundle.opening import Bundle, open_bundle
from backhaul.bundle.seal import check_signer
from backhaul.bundle.unpacking import Unpacked, unpack
from backhaul.cli.bundle_progress import progress
from backhaul.cli.bundle_view import bundle_json, say_opened, show_damage, show_missing
from backhaul.cli.document import print_document
from backhaul.cli.failure import end_with
from backhaul.cli.render import STDERR
from backhaul.cli.visible import shown
from backhaul.counted import counted
from backhaul.errors import BackhaulError, BundleIncomplete


@click.command("unpack")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--signed-by", metavar="FINGERPRINT", help="Refuse a bundle that was not signed with this key.")
@click.option("--partial", is_flag=True, help="Take what is there of a bundle without its end, or without a volume.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, file: Path, folder: Path, signed_by: str | None, partial: bool, as_json: bool) -> None:
    """Take the runs out of a bundle. Every file is compared with its digest; nothing that is there is replaced.

    FILE is the bundle, or any of its volumes: the others are found beside it. FOLDER is made if it is not there.
    `backhaul sync FOLDER` finds the payloads then. The same command goes on where an interrupted one stopped.
    """
    try:
        bundle = open_bundle(file, partial=partial)
        check_signer(bundle.signer, signed_by)
        with progress("unpacking", bundle.manifest.size) as on_progress:
            unpacked = unpack(bundle, folder, on_progress=on_progress)
    except BackhaulError as error:
        end_with(error, as_json=as_json)
    error_found = _error(bundle, unpacked)
    exit_code = error_found.exit_code if error_found else 0
    if as_json:
        document = {
            "folder": str(folder),
            "runs": [str(folder / run.at) for run in bundle.manifest.runs],
            "written": len(unpacked.written),
            "present": len(unpacked.present),
        }
        told = error_found.as_json() if error_found else None
        print_document(document | bundle_json(bundle, unpacked) | {"error": told, "exit_code": exit_code})
    _show(bundle, folder, unpacked)
    ctx.exit(exit_code)


def _error(bundle: Bundle, unpacked: Unpacked) -> BackhaulError | None:
    if unpacked.error is None and not bundle.is_whole:
        return BundleIncomplete(
            f"{bundle.path} ends before its end; whole before that: {counted(len(unpacked.written), 'file')}.",
            safe="Each of them has the digest that it was packed with; what came behind them is not known.",
        )
    return unpacked.error


def _show(bundle: Bundle, folder: Path, unpacked: Unpacked) -> None:
    say_opened(bundle)
    STDERR.print(
        f"  {counted(len(unpacked.written), 'file')} written to {shown(folder)}"
        + (f", there already: {len(unpacked.present)}" if unpacked.present else ""),
        soft_wrap=True,
    )
    show_missing(bundle.manifest.missing)
    show_damage(unpacked)
