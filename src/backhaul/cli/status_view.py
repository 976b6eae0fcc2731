"""How the standing of many runs looks in a terminal: what has to happen next, and with which of them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from backhaul.cli.render import duration, size
from backhaul.cli.visible import visible
from backhaul.counted import counted
from backhaul.sync.standing import Standing, Step
from backhaul.wandblog import LogEnd

_MOST_ROWS = 50

_HEADINGS = {
    Step.LOOK: ("red", "need you", "no sync can read them; the reason stands beside each"),
    Step.SYNC: ("yellow", "ready", "send them: backhaul sync"),
    Step.GO_ON: ("yellow", "begun", "a part has arrived; go on with the same backhaul sync"),
    Step.PROVE: ("yellow", "marked, not proven", "W&B's marker proves nothing: backhaul sync sends what is missing"),
    Step.WAIT: ("cyan", "recording", "wait, or send what is whole: backhaul sync"),
    Step.NOTHING: ("green", "verified", "read back and equal to the log"),
}


def show_standings(runs: Sequence[Standing], now: float, console: Console | None = None) -> None:
    """Print the verdict in one line, then a table for each next step; on stdout, because it is what was asked for."""
    console = console or Console(highlight=False)
    groups = {step: [run for run in runs if run.step is step] for step in Step}
    counts = ", ".join(f"{len(group)} {_HEADINGS[step][1]}" for step, group in groups.items() if group)
    counts = counts.replace("1 need you", "1 needs you") if len(groups[Step.LOOK]) == 1 else counts
    _print(f"[bold]{counted(len(runs), 'run')}[/]: {counts}", console)
    for step, group in groups.items():
        if group:
            _show_group(step, group, now, console)


def _show_group(step: Step, group: Sequence[Standing], now: float, console: Console) -> None:
    colour, heading, what_next = _HEADINGS[step]
    total = size(sum(run.size for run in group))
    _print(f"\n[bold {colour}]{heading}[/]  [dim]{len(group)}, {total}: {what_next}[/]", console)
    for run in group[:_MOST_ROWS]:
        _show_run(run, now, console)
    if len(group) > _MOST_ROWS:
        console.print(f"[dim]… and {len(group) - _MOST_ROWS} more (see --json)[/]")


def _show_run(run: Standing, now: float, console: Console) -> None:
    row, note = f"{size(run.size):>11} {_age(run, now):>7}  {escape(_name(run))}", visible(_note(run))
    # Not folded by us: a path that is cut into two lines cannot be copied.
    if console.is_terminal and note and cell_len(f"{row}  {note}") > console.width:
        console.print(row, soft_wrap=True)
        console.print(Padding(f"[dim]{escape(note)}[/]", (0, 0, 0, 4)))
    else:
        console.print(f"{row}  [dim]{escape(note)}[/]" if note else row, soft_wrap=True)


def _print(text: str, console: Console) -> None:
    """Sentences are folded to the terminal; in a pipe nothing is."""
    console.print(text, soft_wrap=not console.is_terminal)


def _name(run: Standing) -> str:
    if run.inspection is None:
        return visible(str(run.directory.path))
    who = run.inspection.identity
    where = "/".join(part for part in (who.entity, who.project, who.run_id) if part)
    return visible(f"{where}  {who.display_name}" if who.display_name else where)


def _age(run: Standing, now: float) -> str:
    """How long ago the log changed last, in its largest unit."""
    if not run.changed_at:
        return ""
    return duration(max(0.0, now - run.changed_at))


def _note(run: Standing) -> str:
    if run.error is not None:
        # The path stands there already.
        return run.error.message.removeprefix(f"{run.directory.log} ")
    if run.step in (Step.NOTHING, Step.GO_ON):
        return ", ".join(run.destinations)
    if run.inspection is not None and run.step is not Step.WAIT and run.inspection.end is not LogEnd.COMPLETE:
        return f"the job was killed ({run.inspection.end})" if run.inspection.end is LogEnd.TORN else "no exit record"
    return ""
