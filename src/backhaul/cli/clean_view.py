"""How a cleaning looks in a terminal: how much can go or is gone, and why the rest stays."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from backhaul.clean.verdict import Clearing, Fate, Verdict
from backhaul.cli.render import STDERR, size
from backhaul.cli.visible import shown
from backhaul.counted import counted

_HEADING = {
    Fate.DELETED: ("green", "deleted", "the receipt beside each is kept"),
    Fate.PROVEN: ("yellow", "can go", "proved here and confirmed by the server: backhaul clean deletes them"),
}
_BY_CARRIED_RECEIPTS = (
    "proved by receipts that were carried here, no server was asked: backhaul clean --carried deletes them"
)


def show_clearing(clearing: Clearing, console: Console = STDERR, *, carried: bool = False) -> None:
    """Print the verdict in one line, then the runs, those that stay grouped by the reason.

    `carried`: they were judged by receipts that were carried here, and by no server.
    """
    console.print(f"[bold]{_verdict(clearing)}[/]", soft_wrap=True)
    for path in clearing.finished:
        console.print(f"  an interrupted deletion was brought to its end: {shown(path)}", soft_wrap=True)
    for fate in _HEADING:
        if runs := clearing.of(fate):
            _show_going(fate, runs, console, carried=carried)
    reasons: dict[str, list[Verdict]] = {}
    for run in clearing.of(Fate.KEPT):
        reasons.setdefault(f"{run.error.message}\n{run.error.next}" if run.error else "", []).append(run)
    for reason, runs in reasons.items():
        _show_kept(reason, runs, console)


def _verdict(clearing: Clearing) -> str:
    counts = {fate: clearing.of(fate) for fate in (Fate.DELETED, Fate.PROVEN, Fate.KEPT)}
    words = {Fate.DELETED: "deleted", Fate.PROVEN: "can go", Fate.KEPT: "kept"}
    told = [
        f"{len(runs)} {words[fate]}" + ("" if fate is Fate.KEPT else f" ({size(sum(run.frees for run in runs))})")
        for fate, runs in counts.items()
        if runs
    ]
    return f"{counted(len(clearing.runs), 'run')}: {', '.join(told) or 'nothing to do'}"


def _show_going(fate: Fate, runs: Sequence[Verdict], console: Console, *, carried: bool) -> None:
    colour, heading, meaning = _HEADING[fate]
    if carried and fate is Fate.PROVEN:
        meaning = _BY_CARRIED_RECEIPTS
    console.print(f"\n[bold {colour}]{heading}[/]  [dim]{meaning}[/]", soft_wrap=True)
    for run in runs:
        console.print(f"{size(run.frees):>11}  {shown(run.directory.path)}", soft_wrap=True)
        console.print(f"{'':>11}  [dim]receipt {shown(run.receipt)}[/]", soft_wrap=True)


def _show_kept(reason: str, runs: Sequence[Verdict], console: Console) -> None:
    message, _, what_next = reason.partition("\n")
    console.print(f"\n[bold]kept[/]  {shown(message)}", soft_wrap=True)
    console.print(f"  next: {shown(what_next)}", soft_wrap=True)
    for run in runs:
        console.print(f"  [dim]{shown(run.directory.path)}[/]", soft_wrap=True)
