"""`backhaul init`: a file to begin with, for the scheduler that you have."""

from __future__ import annotations

from pathlib import Path

import click

from backhaul.errors import UsageError
from backhaul.runs.new_file import new_file
from backhaul.unattended.schedulers import TEMPLATES, Template

_EXECUTABLE = 0o755


@click.command("init")
@click.argument("kind", type=click.Choice(list(TEMPLATES)), required=False)
@click.argument("part", required=False)
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write it there; never over a file."
)
def command(kind: str | None, part: str | None, output: Path | None) -> None:
    """Print a commented file for a scheduler: slurm, pbs, systemd, cron, aws-batch, sagemaker, kubernetes.

    PART is one of several files; without it the first. Without KIND: what there is.
    """
    if kind is None:
        for template in (each for parts in TEMPLATES.values() for each in parts.values()):
            click.echo(f"{template.kind:<11} {template.part:<15} {template.purpose}")
        return
    text = _chosen(kind, part).text()
    if output is None:
        click.echo(text, nl=False)
        return
    with new_file(output) as file:
        file.write(text.encode())
    if text.startswith("#!"):
        output.chmod(_EXECUTABLE)


def _chosen(kind: str, part: str | None) -> Template:
    parts = TEMPLATES[kind]
    name = part or next(iter(parts))
    if name not in parts:
        raise UsageError(f"There is no part {name!r} of {kind}.", next=f"Choose one of: {', '.join(parts)}.")
    return parts[name]
