"""How bundles look in a terminal, and in JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from backhaul.bundle.manifest import Manifest, Missing
from backhaul.bundle.opening import Bundle
from backhaul.bundle.unpacking import Unpacked
from backhaul.bundle.visit import Visit
from backhaul.bundle.visiting import visiting
from backhaul.cli.bundle_progress import progress
from backhaul.cli.render import STDERR, show_error, size
from backhaul.cli.visible import shown
from backhaul.counted import counted
from backhaul.sync.signature import own_fingerprint
from backhaul.sync.state_folder import state_folder

_MOST_SHOWN = 20


@contextmanager
def opened_bundles(paths: Sequence[Path], *, signed_by: str | None) -> Iterator[Visit]:
    """As `opened`, whether there are bundles or not."""
    with ExitStack() as stack:
        # It ends with the unpacking: what the block prints has the terminal for itself.
        with progress("unpacking") as on_progress:
            visit = stack.enter_context(visiting(paths, state_folder(), signed_by=signed_by, on_progress=on_progress))
        for visited in visit.bundles:
            say_opened(visited.bundle)
            show_missing(visited.bundle.manifest.missing)
            show_damage(visited.unpacked)
        yield visit


def say_opened(bundle: Bundle) -> None:
    """One line on the bundle, and one on whose key signed it."""
    manifest = bundle.manifest
    made = f"packed at {manifest.made_at} on {manifest.host}" if bundle.is_whole else "without its end"
    runs = counted(len(manifest.runs), "run")
    STDERR.print(
        f"{shown(bundle.path)}: {runs}, {counted(len(manifest.members), 'file')}, {size(manifest.size)}, {made}",
        soft_wrap=True,
    )
    STDERR.print(f"  {signer_told(bundle.signer)}", soft_wrap=True)
    for run in manifest.runs:
        if run.recording:
            STDERR.print(
                f"  note: {shown(run.run_id)} was being recorded when it was packed; this is what was whole by then, "
                "and a later bundle goes on from here.",
                soft_wrap=True,
            )


def signer_told(signer: str | None) -> str:
    """What the signature of a bundle says, and what it does not."""
    if signer is None:
        return "no signature can be read: nothing tells who packed it, or whether it was changed"
    if signer == own_fingerprint(state_folder()):
        return f"signed with your own key ({signer}): unchanged since you packed it"
    return (
        f"signed with the key {signer}, which is not yours: unchanged since that was signed; who signed it, only that "
        "fingerprint tells, if it came to you by another way"
    )


def show_missing(missing: Sequence[Missing]) -> None:
    """What the bundle should have and has not."""
    needed = [item for item in missing if item.needed]
    for item in needed[:_MOST_SHOWN]:
        told = f"{shown(item.what)} ({shown(item.path)}): {shown(item.reason)}"
        STDERR.print(f"  [red]not in the bundle[/] {told}", soft_wrap=True)
    if len(needed) > _MOST_SHOWN:
        STDERR.print(f"  … and {len(needed) - _MOST_SHOWN} more (see --json)")


def show_damage(unpacked: Unpacked) -> None:
    """Every file that was hit, and damage that hit none."""
    for name, reason in list(unpacked.damaged.items())[:_MOST_SHOWN]:
        STDERR.print(f"  [red]damaged[/] {shown(name)}: {shown(reason)}", soft_wrap=True)
    if unpacked.holes and not unpacked.damaged:
        hole = unpacked.holes[0]
        STDERR.print(
            f"  note: {hole.length} bytes at {hole.at} of {shown(hole.volume.name)} are damaged; no file was hit.",
            soft_wrap=True,
        )
    if unpacked.error is not None:
        show_error(unpacked.error)


def bundle_json(bundle: Bundle, unpacked: Unpacked) -> dict[str, Any]:
    """A bundle in the `--json` documents."""
    return {
        "path": str(bundle.path),
        "volumes": [str(bundle.volumes[number]) for number in sorted(bundle.volumes)],
        "signer": bundle.signer,
        "own_key": bundle.signer is not None and bundle.signer == own_fingerprint(state_folder()),
        "recording": [run.run_id for run in bundle.manifest.runs if run.recording],
        "missing": missing_json(bundle.manifest),
        "damaged": unpacked.damaged,
        "taken": unpacked.taken,
    }


def missing_json(manifest: Manifest) -> list[dict[str, Any]]:
    """What is not in a bundle, in the `--json` documents."""
    return [
        {"run": item.run, "what": item.what, "path": item.path, "reason": item.reason, "needed": item.needed}
        for item in manifest.missing
    ]
