"""How the queue looks in a terminal: on stdout, because it is what was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console

from backhaul.cli.render import duration
from backhaul.cli.visible import shown
from backhaul.counted import counted
from backhaul.unattended.queue.entry import WAITING, Item, QueueState, Worker

_MOST_ROWS = 50
_HEARD_OF_WITHIN = 120.0

_HEADINGS = {
    QueueState.QUARANTINED: ("red", "need you; mend what is told, then: backhaul queue retry"),
    QueueState.SENDING: ("cyan", "on their way"),
    QueueState.BLOCKED: ("yellow", "are tried again by themselves"),
    QueueState.PENDING: ("yellow", "wait for their turn"),
    QueueState.RECORDING: ("cyan", "wait for their job to end"),
    QueueState.VERIFIED: ("green", "read back and equal to the log"),
    QueueState.DROPPED: ("white", "left alone: backhaul queue drop"),
}
_HIDDEN = frozenset({QueueState.VERIFIED, QueueState.DROPPED})


def show_queue(
    items: Sequence[Item],
    workers: Sequence[Worker],
    now: float,
    *,
    paused: bool,
    show_all: bool,
    console: Console | None = None,
) -> None:
    """Print the verdict in one line, who works on it, then a table for each state."""
    console = console or Console(highlight=False)
    groups = {state: [item for item in items if item.state is state] for state in _HEADINGS}
    counts = ", ".join(f"{len(group)} {state}" for state, group in groups.items() if group)
    console.print(f"[bold]{counted(len(items), 'run')}[/]: {counts or 'the queue is empty'}")
    if paused:
        console.print("[yellow]paused[/]: nothing new is begun; go on with: backhaul queue resume")
    for worker in workers:
        _show_worker(worker, now, console)
    if not workers:
        console.print("[dim]nobody works on it: backhaul watch DIR…[/]")
    for state, group in groups.items():
        if group and (show_all or state not in _HIDDEN):
            _show_group(state, group, now, console)


def show_changed(count: int, done: str, states: Mapping[str, int] | None = None) -> None:
    """Print how many runs were changed, and what they are now."""
    told = f" ({', '.join(f'{number} {state}' for state, number in states.items())})" if states else ""
    Console(highlight=False).print(f"{counted(count, 'run')} {done}{told}")


def _show_worker(worker: Worker, now: float, console: Console) -> None:
    seen = now - worker.seen_at
    words = shown(worker.words)
    if seen > _HEARD_OF_WITHIN:
        words = f"[red]not heard of for {duration(seen)}[/]; what it had in hand is taken up by others"
    console.print(f"[dim]worker[/] {shown(worker.owner)}  {words}", soft_wrap=True)


def _show_group(state: QueueState, group: Sequence[Item], now: float, console: Console) -> None:
    colour, what_next = _HEADINGS[state]
    console.print(f"\n[bold {colour}]{state}[/]  [dim]{len(group)}: {what_next}[/]", soft_wrap=True)
    for item in group[:_MOST_ROWS]:
        # Not folded by us: a path that is cut into two lines cannot be copied.
        console.print(_line(item, now), soft_wrap=True)
    if len(group) > _MOST_ROWS:
        console.print(f"[dim]… and {len(group) - _MOST_ROWS} more (see --json)[/]")


def _line(item: Item, now: float) -> str:
    entry = item.entry
    facts = [counted(item.attempts, "try", "tries")] if item.attempts else []
    if entry.state in WAITING and entry.due_at > now:
        facts.append(f"next in {duration(entry.due_at - now)}")
    if item.paused:
        facts.append("paused")
    if entry.host:
        facts.append(f"on {entry.host}")
    reason = f"  [dim]{entry.reason.code}[/] {shown(entry.reason.message)}" if entry.reason else ""
    told = f"  [dim]{', '.join(facts)}[/]" if facts else ""
    return f"{duration(max(0.0, now - item.queued_at)):>7}  {shown(entry.log.parent)}{told}{reason}"
