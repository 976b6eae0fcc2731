"""How one run looks in a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from backhaul.cli.render import damage_line, size
from backhaul.cli.sparkline import sparkline
from backhaul.cli.visible import visible
from backhaul.counted import counted
from backhaul.runs.curve import Curve
from backhaul.runs.local_run import LocalRun
from backhaul.wandblog import LogEnd

_STATE_COLOUR = {"finished": "green", "failed": "red", "crashed": "yellow", "running": "cyan"}
_MOST_VALUES = 40
_MOST_FILES = 20
# Wide terminals get the longer curve; in the other 80 columns hold it and all numbers.
_SPARK_WIDTH, _NARROW_SPARK_WIDTH, _WIDE = 20, 12, 100
_LONGEST_VALUE = 400


def show_run(run: LocalRun, console: Console, *, metrics: int, lines: int) -> None:
    """Print what a person wants to know of a run."""
    glance = run.glance(lines)
    console.print(Panel(_identity(run), title=_title(run), title_align="left", border_style="dim"))
    # Not folded: a path that is cut into two lines cannot be copied.
    console.print(Text.assemble(("in ", "dim"), visible(str(run.path))), soft_wrap=True)
    _section(console, "config", _values(run.config))
    _section(console, "summary", _values(run.summary))
    if metrics:
        width = _SPARK_WIDTH if console.width >= _WIDE else _NARROW_SPARK_WIDTH
        _section(console, "metrics", _curves(glance.curves, metrics, width))
    if lines:
        _section(console, f"console, last {counted(lines, 'line')}", _console_tail(glance.tail))
    _section(console, "files", _payloads(run))
    _section(console, "the log", _condition(run))


def _section(console: Console, title: str, content: RenderableType | None) -> None:
    if content is not None:
        console.print(Text(f"\n{title}", style="bold"))
        console.print(content)


def _plain(text: str) -> Text:
    return Text(visible(text))


def _coloured(text: str, is_error: bool) -> Text:
    """Colours that a program wrote stay; whatever else was meant for a terminal does not reach it."""
    parsed = Text.from_ansi(text, style="red" if is_error else "")
    shown = Text(visible(parsed.plain), style=parsed.style)
    shown.spans = parsed.spans
    return shown


def _title(run: LocalRun) -> Text:
    who = run.identity
    where = "/".join(part for part in (who.entity, who.project, who.run_id) if part)
    return Text.assemble((visible(where), "bold"), "  ", (run.state, _STATE_COLOUR[run.state]))


def _identity(run: LocalRun) -> Table:
    who, metadata = run.identity, run.metadata
    exit_code = "" if run.exit_code is None else f" (exit code {run.exit_code})"
    command = " ".join(map(str, [metadata.get("program") or "", *(metadata.get("args") or [])]))
    facts = {
        "name": who.display_name,
        "tags": ", ".join(who.tags),
        "group": who.group,
        "job type": who.job_type,
        "sweep": who.sweep,
        "notes": who.notes,
        "started": f"{run.start_time:%Y-%m-%d %H:%M:%S} UTC" if run.start_time else "",
        "lasted": "" if run.duration is None else f"{timedelta(seconds=round(run.duration))}{exit_code}",
        "command": command.strip(),
        "host": who.host or str(metadata.get("host") or ""),
        "machine": _machine(metadata),
        "commit": " ".join(part for part in (who.commit[:12], who.repo) if part),
        "recorded by": _recorder(run),
    }
    return _pairs((name, _plain(fact)) for name, fact in facts.items() if fact)


def _machine(metadata: Mapping[str, Any]) -> str:
    cores, gpus = metadata.get("cpu_count"), metadata.get("gpu_count")
    parts = [
        str(metadata.get("os") or ""),
        f"{cores} cores" if cores else "",
        f"{gpus or 1} × {metadata['gpu']}" if metadata.get("gpu") else "",
    ]
    return ", ".join(part for part in parts if part)


def _recorder(run: LocalRun) -> str:
    python = f"Python {run.python_version}" if run.python_version else ""
    return ", ".join(part for part in (f"wandb {run.sdk_version}" if run.sdk_version else "", python) if part)


def _pairs(pairs: Iterable[tuple[str, RenderableType]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", overflow="fold")
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(_plain(name), value)
    return table


def _values(values: Mapping[str, Any]) -> RenderableType | None:
    if not values:
        return None
    shown = _pairs((key, _plain(_short(value))) for key, value in sorted(values.items())[:_MOST_VALUES])
    return Group(shown, *_more(len(values) - _MOST_VALUES, "values"))


def _short(value: Any) -> str:
    if isinstance(value, dict) and "_type" in value and "path" in value:
        return f"{value['_type']}: {value['path']}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _more(count: int, what: str) -> list[Text]:
    return [Text(f"… and {count} more {what}", style="dim")] if count > 0 else []


def _curves(curves: Mapping[str, Curve], most: int, width: int) -> RenderableType | None:
    if not curves:
        return None
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("metric", overflow="fold", min_width=12)
    table.add_column("", style="cyan", no_wrap=True)
    for heading in ("last", "lowest", "highest", "values"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, curve in sorted(curves.items())[:most]:
        table.add_row(_plain(name), sparkline(curve.points(), width), *_numbers(curve))
    return Group(table, *_more(len(curves) - most, "metrics (--metrics)"))


def _numbers(curve: Curve) -> list[str]:
    finite = curve.count > curve.odd
    count = f"{curve.count}, {curve.odd} NaN/inf" if curve.odd else str(curve.count)
    extremes = (f"{curve.min:.4g}", f"{curve.max:.4g}") if finite else ("", "")
    return [f"{curve.last:.4g}", *extremes, count]


def _console_tail(tail: Iterable[str]) -> RenderableType | None:
    # "[ERROR ]TIME TEXT", as lines are sent; the time is that of the line's first character.
    lines = [(*line.removeprefix("ERROR ").partition(" "), line.startswith("ERROR ")) for line in tail]
    if not lines:
        return None
    return Group(*(_coloured(text, is_error) for _, _, text, is_error in lines))


def _payloads(run: LocalRun) -> RenderableType | None:
    files, artifacts = run.files, run.artifacts
    if not files and not artifacts:
        return None
    missing_first = sorted(files, key=lambda file: (file.present, file.name))
    rows = [(file.name, _file_state(file.size, str(file.link or file.path))) for file in missing_first[:_MOST_FILES]]
    rows += [
        (f"{artifact.name} ({artifact.type})", _artifact_state(artifact.entries, len(artifact.missing)))
        for artifact in artifacts[:_MOST_FILES]
    ]
    more = max(0, len(files) - _MOST_FILES) + max(0, len(artifacts) - _MOST_FILES)
    return Group(_pairs(rows), *_more(more, "files"))


def _file_state(length: int | None, place: str) -> Text:
    return Text(size(length)) if length is not None else Text.assemble(("missing", "red"), f": {visible(place)}")


def _artifact_state(entries: int, missing: int) -> Text:
    text = Text(counted(entries, "file"))
    return text.append(f", {missing} missing", style="red") if missing else text


def _condition(run: LocalRun) -> RenderableType:
    counts = run.line_counts
    rows, console = counted(counts["history"], "row"), counted(counts["console"], "console line")
    lines: list[RenderableType] = [
        Text(f"{size(run.log.stat().st_size)}, {rows}, {counts['events']} of system metrics, {console}"),
        Text(f"end: {run.end}", style="" if run.end == "complete" else "yellow"),
    ]
    lines += [Text(note, style="dim") for note in run.notes]
    if run.end in (LogEnd.EMPTY, LogEnd.HEADER_ONLY):
        lines.append(Text("`backhaul repair` makes a log of what the run's other files still have", style="yellow"))
    if not run.is_complete:
        lost = "" if run.lost_records is None else f", {counted(run.lost_records, 'record')} lost"
        lines.append(Text(f"damaged{lost}; `backhaul repair` makes a new log of the rest", style="red"))
    lines += [Text(f"  {damage_line(damage)}", style="yellow") for damage in run.damage[:_MOST_FILES]]
    return Group(*lines, *_more(len(run.damage) - _MOST_FILES, "damaged places"))
