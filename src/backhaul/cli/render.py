"""How outcomes and errors look in a terminal: on stderr, for they tell of the work and are not what was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from backhaul.cli.visible import shown
from backhaul.counted import counted
from backhaul.errors import BackhaulError, Interrupted
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.outcome import Outcome, RunState
from backhaul.wandblog import Damage

STDERR = Console(stderr=True, highlight=False)

_COLOUR = {
    RunState.VERIFIED: "green",
    RunState.SENT: "yellow",
    RunState.RECORDING: "cyan",
    RunState.BLOCKED: "yellow",
    RunState.QUARANTINED: "red",
}
_MOST_VERIFIED_SHOWN = 50
# A table has no room in fewer columns.
_TABLE_WIDTH = 72
_STREAM_NAMES = {Stream.HISTORY: "history", Stream.EVENTS: "system", Stream.OUTPUT: "console"}


def show_error(error: BackhaulError, console: Console = STDERR) -> None:
    """Print what happened, what is safe, and what to do next."""
    # Not folded by us: a path or a command that is cut into two lines cannot be copied.
    console.print(f"[bold red]error[/] [dim]{error.code}[/]  {shown(error.message)}", soft_wrap=True)
    console.print(f"  safe: {shown(error.safe)}", soft_wrap=True)
    console.print(f"  next: {shown(error.next)}", soft_wrap=True)


def show_warnings(warnings: Sequence[str], console: Console = STDERR) -> None:
    """Print what is wrong with a user's settings files."""
    for warning in warnings:
        console.print(f"warning: {shown(warning)}", soft_wrap=True)


def show_outcomes(outcomes: Sequence[Outcome], console: Console = STDERR) -> None:
    """Print a table of the runs, then the reason and the next step of each that is not wholly delivered.

    Of many runs that are verified, and so need nobody, the rest is a number.
    """
    rows, verified = [], 0
    for outcome in outcomes:
        verified += outcome.state is RunState.VERIFIED
        if outcome.state is not RunState.VERIFIED or verified <= _MOST_VERIFIED_SHOWN:
            rows.append(outcome)
    if console.width < _TABLE_WIDTH:
        for outcome in rows:
            console.print(_lines_of(outcome), highlight=False, soft_wrap=True)
    else:
        table = _table(rows, "/")
        console.print(table if _fits(table, console) else _table(rows, "/\n"))
    if verified > _MOST_VERIFIED_SHOWN:
        rest = counted(verified - _MOST_VERIFIED_SHOWN, "more run")
        console.print(f"… and {rest}, [green]verified[/] (see --json)")
    stopped: BackhaulError | None = None
    for outcome in outcomes:
        if isinstance(outcome.error, Interrupted):
            stopped = outcome.error
        else:
            _show_details(outcome, console)
    if stopped is not None:
        # The same for every run that was on its way: said once.
        show_error(stopped, console)


def size(number: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def damage_line(damage: Damage) -> str:
    """A damaged range of a log and the records that it cost, as far as their numbers are known."""
    place = f"{damage.kind} at byte {damage.offset}, {size(damage.length)}"
    if not damage.numbers:
        return place
    first, last = damage.numbers[0], damage.numbers[-1]
    return f"{place}: record {first} lost" if first == last else f"{place}: records {first} to {last} lost"


def duration(seconds: float) -> str:
    """A time for people, in its largest unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _table(outcomes: Sequence[Outcome], before_id: str) -> Table:
    """A row for each run; `before_id` parts its id from where it is."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("run", overflow="fold")
    table.add_column("state")
    for stream in NUMBERED:
        table.add_column(_STREAM_NAMES[stream], justify="right")
    table.add_column("files", justify="right")
    table.add_column("sent", justify="right")
    for outcome in outcomes:
        table.add_row(*_cells(outcome, before_id))
    return table


def _fits(table: Table, console: Console) -> bool:
    """Whether no cell has to be folded, as an id that is cut into two lines cannot be copied."""
    unbounded = console.options.update(width=1000)
    return console.measure(table, options=unbounded).maximum <= console.width


def _cells(outcome: Outcome, before_id: str) -> list[str]:
    """What a table has of a run: where it is, its state, lines by stream, files, bytes."""
    where = "/".join(part for part in (outcome.entity, outcome.project) if part)
    where += f"{before_id if where else ''}{outcome.run_id}"
    where += f"  {outcome.name}" if outcome.name else ""
    colour = _COLOUR.get(outcome.state, "white")
    return [
        shown(where),
        f"[{colour}]{outcome.state}[/]",
        *(_lines(outcome, stream) for stream in NUMBERED),
        f"{outcome.files_remote}/{outcome.files_local}",
        size(outcome.sent_bytes),
    ]


def _lines_of(outcome: Outcome) -> str:
    """The same for a terminal that is too narrow for a table."""
    where, state, *lines, files, sent = _cells(outcome, "/")
    told = [f"{name} {count}" for name, count in zip(map(_STREAM_NAMES.get, NUMBERED), lines, strict=True)]
    return f"{where}\n  {state}: {', '.join([*told, f'files {files}', f'sent {sent}'])}"


def _lines(outcome: Outcome, stream: Stream) -> str:
    local, remote = outcome.local.get(stream), outcome.remote.get(stream)
    if local is None:
        return "-"
    return str(local) if remote is None or local == remote else f"{local} → {remote}"


def _show_details(outcome: Outcome, console: Console) -> None:
    if outcome.error is None and not (outcome.quarantined or outcome.notes or outcome.left_out):
        return
    console.print(f"\n[bold]{shown(outcome.run_id)}[/]  [dim]{shown(outcome.path)}[/]", soft_wrap=True)
    for note in outcome.notes:
        console.print(f"  note: {shown(note)}", soft_wrap=True)
    for name in outcome.left_out[:20]:
        console.print(f"  left out {shown(name)}")
    for item in outcome.quarantined[:20]:
        console.print(f"  [red]not delivered[/] {shown(item.what)}: {shown(item.reason)}", soft_wrap=True)
        console.print(f"    next: {shown(item.next)}", soft_wrap=True)
    if len(outcome.quarantined) > 20:
        console.print(f"  … and {len(outcome.quarantined) - 20} more (see --json)")
    if outcome.error is not None:
        show_error(outcome.error, console)
