"""What a repair did, for people."""

from __future__ import annotations

import shlex

from rich.console import Console

from backhaul.cli.render import STDERR, damage_line
from backhaul.cli.visible import shown
from backhaul.counted import counted
from backhaul.repair import RepairReport
from backhaul.wandblog import LogEnd

_MOST_LINES = 20
_ENDS = {
    LogEnd.COMPLETE: "with an exit record: the run had ended",
    LogEnd.NO_EXIT: "without an exit record: the job was killed, or runs on elsewhere",
    LogEnd.TORN: "inside a record: the job was killed while it was written",
    LogEnd.HEADER_ONLY: "after its header: no record reached the disk",
    LogEnd.EMPTY: "before it begins: no byte of it reached the disk",
}


def show_repair(report: RepairReport, console: Console = STDERR) -> None:
    """Print what was kept, what was lost and why, what was changed, and what to do next."""
    console.print(f"[bold]{shown(report.run_id)}[/]  [dim]{shown(report.path)}[/]", soft_wrap=True)
    console.print(f"  the log ends {_ENDS[report.end]}")
    _show_counts(report, console)
    _show_damage(report, console)
    for text in (*report.changes, *report.notes):
        console.print(f"  note: {shown(text)}", soft_wrap=True)
    console.print(f"  [green]written[/] {shown(report.output)}", soft_wrap=True)
    console.print("  safe: the original is unchanged.")
    console.print("  next: sync the new run, and not the original as well:")
    console.print(f"        {shown(shlex.join(['backhaul', 'sync', str(report.output)]))}", soft_wrap=True)


def _show_counts(report: RepairReport, console: Console) -> None:
    if report.missing:
        made = counted(report.kept, "record")
        console.print(f"  [red]the log holds nothing[/]; {made} made from the run's other files")
        console.print(f"  recovered: {shown(', '.join(report.recovered) or 'nothing')}")
        console.print(f"  [red]missing[/]:   {shown(', '.join(report.missing))}")
    else:
        console.print(f"  {counted(report.kept, 'record')} kept, {_lost(report)}")
    for reason, count in report.left_out.items():
        console.print(f"  left out: {count} × {shown(reason)}")


def _lost(report: RepairReport) -> str:
    if report.complete:
        return "none lost inside the log"
    return "[red]some lost[/] (how many cannot be known)" if report.lost is None else f"[red]{report.lost} lost[/]"


def _show_damage(report: RepairReport, console: Console) -> None:
    for damage in report.damage[:_MOST_LINES]:
        console.print(f"  [yellow]{damage_line(damage)}[/]")
    if len(report.damage) > _MOST_LINES:
        console.print(f"  … and {len(report.damage) - _MOST_LINES} more places (see --json)")
