"""How a diagnosis looks in a terminal: the verdict first, then the findings grouped by what to do about them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from backhaul.cli.visible import visible
from backhaul.doctor.examination import Diagnosis
from backhaul.doctor.finding import Finding, Severity
from backhaul.doctor.network import Step

_COLOUR = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_MOST_OF_ONE_CODE = 5


def show_diagnosis(diagnosis: Diagnosis, *, verbose: bool, console: Console | None = None) -> None:
    """Print the verdict and the findings, the worst first; `verbose` shows all of them, with their evidence."""
    console = console or Console(highlight=False)
    console.print(f"[bold]{_verdict(diagnosis)}[/]", soft_wrap=True)
    groups: dict[str, list[Finding]] = {}
    for finding in sorted(diagnosis.findings, key=lambda finding: list(Severity).index(finding.severity)):
        groups.setdefault(finding.code, []).append(finding)
    for code, findings in groups.items():
        _show_group(code, findings, console, verbose=verbose)


def _verdict(diagnosis: Diagnosis) -> str:
    count = f"{diagnosis.runs} run{'' if diagnosis.runs == 1 else 's'}"
    told = []
    for severity in Severity:
        number = sum(finding.severity is severity and not finding.fixed for finding in diagnosis.findings)
        if number:
            told.append(f"{number} {severity}{'' if number == 1 else 's'}")
    fixed = sum(finding.fixed for finding in diagnosis.findings)
    if fixed:
        told.append(f"{fixed} mended")
    return f"{count}: {', '.join(told) or 'nothing stands in the way'}"


def _show_group(code: str, findings: Sequence[Finding], console: Console, *, verbose: bool) -> None:
    colour = _COLOUR[findings[0].severity]
    console.print(f"\n[bold {colour}]{findings[0].severity}[/] [bold]{code}[/]  [dim]{len(findings)}[/]")
    shown = findings if verbose else findings[:_MOST_OF_ONE_CODE]
    for finding in shown:
        mark = "[green]mended[/] " if finding.fixed else ""
        console.print(f"  {mark}{escape(visible(finding.message))}", soft_wrap=True)
        if finding.path:
            console.print(f"    [dim]{escape(visible(finding.path))}[/]", soft_wrap=True)
        if verbose:
            console.print(f"    seen: {escape(visible(finding.evidence))}", soft_wrap=True)
        if not finding.fixed:
            console.print(f"    do:   {escape(visible(finding.remedy))}", soft_wrap=True)
    if len(shown) < len(findings):
        console.print(f"  [dim]… and {len(findings) - len(shown)} more of this kind (-v shows all)[/]")


def show_step(step: Step, console: Console | None = None) -> None:
    """Print one step of the way to the server: done or not, how long it took, what came back."""
    console = console or Console(highlight=False)
    mark = "[green]ok[/]    " if step.error is None else "[red]failed[/]"
    text = f"  {mark} {step.name:<18} {step.seconds * 1000:7.0f} ms  {escape(visible(step.detail))}"
    console.print(text, soft_wrap=True)
