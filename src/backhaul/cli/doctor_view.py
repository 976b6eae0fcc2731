"""How a diagnosis looks in a terminal: the verdict first, then what to do, each deed with what it mends."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from backhaul.cli.render import duration, size
from backhaul.cli.visible import visible
from backhaul.doctor.diagnosis import Condition, Diagnosis
from backhaul.doctor.finding import Finding, Severity
from backhaul.doctor.network import Step, standing_of

_COLOUR = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_MOST_PLACES = 5
# A remedy names the path that it is for; the same deed for several paths is one deed.
_PATH = re.compile(r"(?<!\S)/\S+")


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
    console.print(f"[bold]{_verdict(diagnosis, steps)}[/]", soft_wrap=True)
    if told := _to_send(diagnosis, rate):
        console.print(told, soft_wrap=True)
    if diagnosis.exit_code == 0:
        console.print("nothing stands in the way")
    deeds: dict[str, list[Finding]] = {}
    for finding in sorted(diagnosis.findings, key=lambda finding: list(Severity).index(finding.severity)):
        deeds.setdefault("mended" if finding.fixed else _PATH.sub("PATH", finding.remedy), []).append(finding)
    for deed, findings in deeds.items():
        _show_deed(deed, findings, console, verbose=verbose)
    if steps and (verbose or any(step.error is not None for step in steps)):
        console.print("\n[bold]the way to the server[/]")
        for step in steps:
            _show_step(step, console)


def _verdict(diagnosis: Diagnosis, steps: Sequence[Step]) -> str:
    number = len(diagnosis.conditions)
    counts = [f"{diagnosis.counts[condition]} {condition}" for condition in Condition if diagnosis.counts[condition]]
    way = standing_of(steps)
    return f"{number} run{'' if number == 1 else 's'}: {', '.join(counts)}" + (f"; {way}" if way else "")


def _to_send(diagnosis: Diagnosis, rate: float | None) -> str:
    waiting = diagnosis.to_send
    if not waiting.runs:
        return ""
    at_that_pace = f": about {duration(waiting.size / rate)} at {size(rate)}/s" if rate else ""
    files = "1 file" if waiting.files == 1 else f"{waiting.files} files"
    return f"to send: {size(waiting.size)}, {files}{at_that_pace}"


def _show_deed(deed: str, findings: Sequence[Finding], console: Console, *, verbose: bool) -> None:
    colour = _COLOUR[findings[0].severity]
    one = deed if deed == "mended" else findings[0].remedy if len(findings) == 1 else deed
    # Not folded by us: a command that is cut into two lines cannot be copied.
    console.print(f"\n[bold {colour}]▸[/] [bold]{escape(visible(one))}[/]", soft_wrap=True)
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault((finding.code, finding.message), []).append(finding)
    for (code, message), alike in kinds.items():
        severity = alike[0].severity
        number = f" [dim]×{len(alike)}[/]" if len(alike) > 1 else ""
        text = f"[{_COLOUR[severity]}]{severity}[/] [dim]{code}[/]{number}  {escape(visible(message))}"
        # Sentences are folded to the terminal; in a pipe nothing is.
        console.print(
            Padding(text, (0, 0, 0, 2)) if console.is_terminal else f"  {text}", soft_wrap=not console.is_terminal
        )
        _show_places(alike, console, verbose=verbose)


def _show_places(findings: Sequence[Finding], console: Console, *, verbose: bool) -> None:
    shown = findings if verbose else findings[:_MOST_PLACES]
    for finding in shown:
        if finding.path:
            console.print(f"    [dim]{escape(visible(finding.path))}[/]", soft_wrap=True)
        if verbose:
            console.print(f"      seen: {escape(visible(finding.evidence))}", soft_wrap=True)
    if len(shown) < len(findings):
        console.print(f"    [dim]… and {len(findings) - len(shown)} more (-v shows all)[/]")


def _show_step(step: Step, console: Console) -> None:
    mark = "[green]ok[/]    " if step.error is None else "[red]failed[/]"
    text = f"  {mark} {step.name:<18} {step.seconds * 1000:7.0f} ms  {escape(visible(step.detail))}"
    console.print(text, soft_wrap=True)
