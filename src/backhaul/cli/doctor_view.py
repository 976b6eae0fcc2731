"""How a diagnosis looks in a terminal: the verdict first, then what to do, each deed with what it mends."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from backhaul.cli.render import duration, size
from backhaul.cli.visible import shown
from backhaul.counted import counted
from backhaul.doctor.deeds import Deed, deeds_of
from backhaul.doctor.diagnosis import Condition, Diagnosis
from backhaul.doctor.finding import Finding, Severity
from backhaul.doctor.network import standing_of
from backhaul.doctor.way import Step

_COLOUR = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_MOST_PLACES, _MOST_KINDS = 5, 8


def show_diagnosis(
    diagnosis: Diagnosis,
    steps: Sequence[Step],
    rate: float | None,
    *,
    verbose: bool,
    console: Console | None = None,
) -> None:
    """Print the verdict, what there is to send, and the findings by remedy, the worst first.

    `rate` is in bytes a second. `verbose` shows every place with the evidence, and every step of the way.
    """
    console = console or Console(highlight=False)
    _print(f"[bold]{_verdict(diagnosis, steps)}[/]", console)
    if told := _to_send(diagnosis, rate):
        _print(told, console)
    if diagnosis.exit_code == 0:
        _print("nothing stands in the way", console)
    for deed in deeds_of(diagnosis.findings):
        _show_deed(deed, console, verbose=verbose)
    if steps and (verbose or any(step.error is not None for step in steps)):
        console.print("\n[bold]the way to the server[/]")
        _show_steps(steps, console)


def _print(text: str, console: Console, indent: int = 0) -> None:
    """Sentences are folded to the terminal; in a pipe nothing is."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(" " * indent + text, soft_wrap=True)


def _verdict(diagnosis: Diagnosis, steps: Sequence[Step]) -> str:
    counts = [f"{diagnosis.counts[condition]} {condition}" for condition in Condition if diagnosis.counts[condition]]
    way = standing_of(steps)
    return f"{counted(len(diagnosis.conditions), 'run')}: {', '.join(counts)}" + (f"; {way}" if way else "")


def _to_send(diagnosis: Diagnosis, rate: float | None) -> str:
    waiting = diagnosis.to_send
    if not waiting.runs:
        return ""
    at_that_pace = ""
    if rate:
        seconds = waiting.size / rate
        time = f"about {duration(seconds)}" if seconds >= 1 else "less than a second"
        at_that_pace = f": {time} at {size(rate)}/s"
    return f"to send: {size(waiting.size)}, {counted(waiting.files, 'file')}{at_that_pace}"


def _show_deed(deed: Deed, console: Console, *, verbose: bool) -> None:
    colour = _COLOUR[deed.findings[0].severity]
    # Not folded by us: a command that is cut into two lines cannot be copied.
    console.print(f"\n[bold {colour}]▸[/] [bold]{shown(deed.heading)}[/]", soft_wrap=True)
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in deed.findings:
        kinds.setdefault((finding.code, finding.message), []).append(finding)
    first = list(kinds.items()) if verbose else list(kinds.items())[:_MOST_KINDS]
    for (code, message), alike in first:
        severity = alike[0].severity
        number = f" [dim]×{len(alike)}[/]" if len(alike) > 1 else ""
        text = f"[{_COLOUR[severity]}]{severity}[/] [dim]{code}[/]{number}  {shown(message)}"
        _print(text, console, 2)
        _show_places(deed, alike, console, verbose=verbose)
    if rest := len(deed.findings) - sum(len(alike) for _, alike in first):
        console.print(f"  [dim]… and {counted(rest, 'more finding')} (-v shows all)[/]")


def _show_places(deed: Deed, findings: Sequence[Finding], console: Console, *, verbose: bool) -> None:
    first = findings if verbose else findings[:_MOST_PLACES]
    for finding in first:
        if place := deed.place_of(finding):
            console.print(f"    [dim]{shown(place)}[/]", soft_wrap=True)
        if verbose:
            # The path stands there already.
            seen = finding.evidence.removeprefix(f"{finding.path}: ")
            console.print(f"      seen: {shown(seen)}", soft_wrap=True)
    if len(first) < len(findings):
        console.print(f"    [dim]… and {len(findings) - len(first)} more (-v shows all)[/]")


def _show_steps(steps: Sequence[Step], console: Console) -> None:
    if not console.is_terminal:
        for step in steps:
            mark = "ok    " if step.error is None else "failed"
            detail = shown(step.detail)
            console.print(f"  {mark} {step.name:<18} {step.seconds * 1000:7.0f} ms  {detail}", soft_wrap=True)
        return
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(max_width=18)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for step in steps:
        mark = "[green]ok[/]" if step.error is None else "[red]failed[/]"
        table.add_row(mark, step.name, f"{step.seconds * 1000:.0f} ms", shown(step.detail))
    console.print(Padding(table, (0, 0, 0, 2)))
