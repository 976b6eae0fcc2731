"""`backhaul pack`: runs with all their payloads in one file, to be carried across an air gap."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from backhaul.bundle.contents import contents_of, refuse_inside
from backhaul.bundle.packing import Packed, pack
from backhaul.cli.bundle_progress import progress
from backhaul.cli.bundle_view import missing_json, show_missing
from backhaul.cli.document import print_document
from backhaul.cli.failure import end_with
from backhaul.cli.quantities import BYTES
from backhaul.cli.render import STDERR, size
from backhaul.cli.visible import shown
from backhaul.counted import counted
from backhaul.errors import BackhaulError, QuarantineError
from backhaul.runs.find import find_runs
from backhaul.runs.here import here
from backhaul.runs.home import home
from backhaul.sync.state_folder import state_folder


@click.command("pack")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Where the bundle is made."
)
@click.option("--split", type=BYTES, metavar="SIZE", help="Make volumes FILE.001, FILE.002 … smaller than this (4G).")
@click.option("--no-references", is_flag=True, help="Leave out local files that artifacts only refer to.")
@click.option(
    "--level",
    metavar="N",
    type=click.IntRange(1, 19),
    default=3,
    show_default=True,
    help="How hard to compress (Zstandard).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    output: Path,
    split: int | None,
    no_references: bool,
    level: int,
    as_json: bool,
) -> None:
    """Put runs with all their payloads into one signed file (a Zstandard-compressed tar). Reads only; no network.

    PATH is what `backhaul sync` takes. The file appears when it is whole; the same command goes on where an
    interrupted one stopped.
    """
    try:
        directories = find_runs(paths, env=os.environ, cwd=here())
        refuse_inside(output, directories)
        contents = contents_of(directories, os.environ, home(), references=not no_references)
        with progress("packing") as on_progress:
            packed = pack(contents, output, state_folder(), split=split, level=level, on_progress=on_progress)
    except BackhaulError as error:
        end_with(error, as_json=as_json, runs=[])
    exit_code = QuarantineError.exit_code if any(item.needed for item in packed.manifest.missing) else 0
    if as_json:
        print_document(_as_json(packed) | {"error": None, "exit_code": exit_code})
    _show(packed)
    ctx.exit(exit_code)


def _as_json(packed: Packed) -> dict[str, Any]:
    manifest = packed.manifest
    return {
        "volumes": [str(path) for path in packed.volumes],
        "size": packed.size,
        "runs": [
            {
                "at": run.at,
                "run_id": run.run_id,
                "entity": run.entity,
                "project": run.project,
                "recording": run.recording,
            }
            for run in manifest.runs
        ],
        "files": len(manifest.members),
        "bytes": manifest.size,
        "kept": packed.kept,
        "missing": missing_json(manifest),
        "signer": packed.signer,
    }


def _show(packed: Packed) -> None:
    manifest = packed.manifest
    first, count = packed.volumes[0], len(packed.volumes)
    where = f"{first}" if count == 1 else f"{first} to {packed.volumes[-1].name}"
    STDERR.print(
        f"{shown(where)}: {counted(len(manifest.runs), 'run')}, {counted(len(manifest.members), 'file')}, "
        f"{size(manifest.size)} in {size(packed.size)}",
        soft_wrap=True,
    )
    if packed.kept:
        STDERR.print(f"  there already from an interrupted call: {counted(packed.kept, 'file')}")
    STDERR.print(
        f"  signed with your key {packed.signer}; tell it to whoever is to check where this comes from", soft_wrap=True
    )
    for run in manifest.runs:
        if run.recording:
            STDERR.print(
                f"  note: {shown(run.run_id)} is being recorded; in the bundle is what was whole of it. Pack it again "
                "when it has ended.",
                soft_wrap=True,
            )
    show_missing(manifest.missing)
