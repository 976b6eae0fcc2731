"""The tables of docs/comparison.md, made of what the benchmarks have kept in benchmarks/measured.

A table is a list of rows; a row says what is measured, the goal, and how its figures are read out of one benchmark's
file. Whether a goal is met is computed, not written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """How it is run: at its whole size, and at a small one that only shows that it works."""

    command: str
    quick: str


_SMALL = "benchmarks/sync_many.py --runs 20 --round-trip 0.01"
BENCHMARKS = {
    "long": Benchmark("benchmarks/sync_one.py --rounds 1", "benchmarks/sync_one.py --rounds 1 --rows 2000"),
    "many": Benchmark("benchmarks/sync_many.py --runs 1000", _SMALL),
    "crowd": Benchmark(
        "benchmarks/sync_many.py --runs 5000 --round-trip 0 --descriptors 256 --only backhaul",
        f"{_SMALL} --descriptors 256 --only backhaul",
    ),
    "resume": Benchmark("benchmarks/sync_bounds.py resume", "benchmarks/sync_bounds.py resume --rows 20000"),
    "lines": Benchmark("benchmarks/sync_bounds.py lines", "benchmarks/sync_bounds.py lines --rows 1000 2000 4000"),
    "memory": Benchmark("benchmarks/sync_bounds.py memory", "benchmarks/sync_bounds.py memory --megabytes 2 8"),
    "artifact": Benchmark("benchmarks/sync_bounds.py artifact", "benchmarks/sync_bounds.py artifact --megabytes 20"),
    "status": Benchmark("benchmarks/status.py", "benchmarks/status.py --runs 200 --repeat 1"),
    "read": Benchmark("benchmarks/read.py --size 180", "benchmarks/read.py --size 4"),
    "watch": Benchmark("benchmarks/watch.py --idle 30", "benchmarks/watch.py --runs 5 --idle 2"),
    "footprint": Benchmark(
        "benchmarks/footprint.py --rounds 5 --wheelhouse", "benchmarks/footprint.py --rounds 1 --wheelhouse"
    ),
    "intake": Benchmark("benchmarks/depot.py intake", "benchmarks/depot.py intake --rows 20000"),
    "upload": Benchmark("benchmarks/depot.py upload", "benchmarks/depot.py upload --clients 2"),
    "chart": Benchmark("benchmarks/depot.py chart", "benchmarks/depot.py chart --rows 20000"),
    "lists": Benchmark("benchmarks/depot.py list", "benchmarks/depot.py list --runs 500"),
}


@dataclass(frozen=True)
class Row:
    """One line of a table. `shown` gives the cells of the two clients (or of ours, and what it is held against) and the
    figure that the goal is about; `bound` is what this may be at most, or at least where `more` is wanted.
    """

    what: str
    benchmark: str
    shown: Callable[[Figures], tuple[str, str, float]]
    goal: str = ""
    bound: float | None = None
    more: bool = False

    def cells(self, figures: Figures) -> list[str]:
        """What, goal, ours, held against, the figure, and whether it is what was wanted."""
        ours, theirs, figure = self.shown(figures)
        met = ""
        if self.bound is not None:
            met = "yes" if (figure >= self.bound if self.more else figure <= self.bound) else "**no**"
        return [self.what, ours, theirs, f"**{_number(figure)}**", self.goal, met]


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"


def _seconds(figure: float) -> str:
    return f"{figure:.1f} s" if figure >= 1 else f"{1000 * figure:.0f} ms"


def _long(what: str) -> Callable[[Figures], tuple[str, str, float]]:
    def shown(figures: Figures) -> tuple[str, str, float]:
        ours, theirs = (figures["long run"][f"{client}, {what}"] for client in ("backhaul sync", "wandb sync"))
        return _amount(what, ours), _amount(what, theirs), ours / theirs

    return shown


def _amount(what: str, figure: float) -> str:
    return f"{figure:.0f} MiB" if what == "memory_mib" else f"{figure:.1f}" if what == "requests" else _seconds(figure)


def _many(what: str) -> Callable[[Figures], tuple[str, str, float]]:
    def shown(figures: Figures) -> tuple[str, str, float]:
        ours, theirs = (figures[client][what] for client in ("backhaul sync", "wandb sync"))
        return _amount(what, ours), _amount(what, theirs), ours if what == "requests" else ours / theirs

    return shown


def _resume(what: str) -> Callable[[Figures], tuple[str, str, float]]:
    def shown(figures: Figures) -> tuple[str, str, float]:
        rest, whole = figures["resume"]["rest"][what], figures["resume"]["whole"][what]
        return _seconds(rest), f"{_seconds(whole)} (a whole sync)", rest / whole

    return shown


def _artifact(figures: Figures) -> tuple[str, str, float]:
    told = figures["artifact"]
    plain = told["md5_pass"] + told["plain_upload"]
    return _seconds(told["wall"]), f"{_seconds(plain)} (MD5 pass, plain upload)", plain / told["wall"]


def _memory(figures: Figures) -> tuple[str, str, float]:
    small, *_, large = figures.values()
    shown = [f"{each['memory_mib']:.0f} MiB (log of {each['log_mb']:,.0f} MB)" for each in (large, small)]
    return shown[0], shown[1], large["memory_mib"] / small["memory_mib"]


def _lines(figures: Figures) -> tuple[str, str, float]:
    small, *_, large = figures.values()
    a_row = {each["rows"]: 1e6 * each["cpu"] / each["rows"] for each in (small, large)}
    shown = [f"{figure:.1f} µs a row ({rows:,} rows)" for rows, figure in a_row.items()]
    return shown[1], shown[0], a_row[large["rows"]] / a_row[small["rows"]]


def _crowd(figures: Figures) -> tuple[str, str, float]:
    told = figures["backhaul sync"]
    return f"{told['whole']:,} whole, {_seconds(told['wall'])}, {told['memory_mib']:.0f} MiB", "", told["whole"]


def _status(figures: Figures) -> tuple[str, str, float]:
    told = figures["status"]
    return f"{_seconds(told['wall'])} ({_seconds(told['cpu'])} CPU)", "", told["wall"]


def _reading(task: str) -> Callable[[Figures], tuple[str, str, float]]:
    def shown(figures: Figures) -> tuple[str, str, float]:
        told = figures[task]
        return f"{_seconds(told['cpu'])} CPU, {told['memory']:.0f} MiB", "", told["log_mb"] / told["cpu"]

    return shown


def _idle(what: str) -> Callable[[Figures], tuple[str, str, float]]:
    def shown(figures: Figures) -> tuple[str, str, float]:
        ours, plain = (figures[f"idle, {name}"] for name in ("backhaul watch", "a plain loop"))
        if what == "share":
            return f"{ours['share']:.2%}", f"{plain['share']:.2%} (a plain loop)", 100 * ours["share"]
        return f"{ours['memory_mb']:.0f} MB", f"{plain['memory_mb']:.0f} MB (a plain loop)", ours["memory_mb"]

    return shown


def _start(command: str) -> Callable[[Figures], tuple[str, str, float]]:
    def shown(figures: Figures) -> tuple[str, str, float]:
        ours, bare = figures[command]["cpu"], figures["python -c pass"]["cpu"]
        return _seconds(ours), f"{_seconds(bare)} (`python -c pass`)", ours / bare

    return shown


def _wheel(figures: Figures) -> tuple[str, str, float]:
    told = figures["wheels"]
    ours, whole = f"{told['ours'] / 1024:,.0f} KiB", f"{told['bytes'] / 2**20:.1f} MiB"
    return ours, f"{whole} (all {told['count']} wheels)", told["ours"] / told["bytes"]


def _intake(figures: Figures) -> tuple[str, str, float]:
    told = figures["intake"]
    shown = (
        f"{told['lines']:,} lines in {_seconds(told['seconds'])}, {_seconds(told['server_cpu'])} of the server's CPU"
    )
    return shown, "", told["lines"] / told["seconds"]


def _upload(size: str) -> Callable[[Figures], tuple[str, str, float]]:
    def shown(figures: Figures) -> tuple[str, str, float]:
        told = figures[f"upload of {size}"]
        return (
            f"{told['depot']:,.0f} MB/s",
            f"{told['bare_loop']:,.0f} MB/s (a bare loop)",
            told["depot"] / told["bare_loop"],
        )

    return shown


def _answer(name: str) -> Callable[[Figures], tuple[str, str, float]]:
    def shown(figures: Figures) -> tuple[str, str, float]:
        told = figures[name]
        then = told["then"] if told["then"] is not None else told["first"]
        return f"first {_seconds(told['first'])}, then {_seconds(then)}", "", 1000 * told["first"]

    return shown


def _goal_of_a_chart(name: str) -> tuple[str, float | None]:
    return ("≤ 150 ms", 150) if name.startswith("chart") and name.endswith("digested") else ("", None)


TABLES: dict[str, tuple[list[str], list[Row]]] = {
    "syncing": (
        ["what", "backhaul sync", "wandb sync", "ratio", "goal", "met"],
        [
            Row("one long run, 200,000 rows of 10 metrics: wall time", "long", _long("wall"), "≤ 0.5", 0.5),
            Row("the same: CPU", "long", _long("cpu"), "≤ 0.5", 0.5),
            Row("the same: memory", "long", _long("memory_mib")),
            Row("1,000 small runs, round trips of 50 ms: wall time", "many", _many("wall"), "≤ 0.2", 0.2),
            Row("the same: CPU of the client", "many", _many("cpu")),
            Row("the same: requests a run", "many", _many("requests"), "fewer than 8", 7.99),
        ],
    ),
    "bounds": (
        ["what", "measured", "held against", "figure", "goal", "met"],
        [
            Row("resume after a kill at nine tenths: wall time", "resume", _resume("wall"), "≤ 0.15", 0.15),
            Row("the same: CPU", "resume", _resume("cpu")),
            Row("an artifact of 1 GB: speed", "artifact", _artifact, "≥ 0.8", 0.8, more=True),
            Row("memory as the log grows twentyfold", "memory", _memory, "≤ 1.5", 1.5),
            Row("CPU of a row as the run grows fourfold", "lines", _lines, "≤ 1.2", 1.2),
            Row("5,000 runs in one call under 256 descriptors", "crowd", _crowd, "all 5,000 whole", 5000, more=True),
        ],
    ),
    "reading": (
        ["what", "measured", "held against", "figure", "goal", "met"],
        [
            Row("`backhaul status` over 10,000 runs, best of three: seconds", "status", _status, "≤ 5 s", 5),
            Row("framing of a log, checksums: MB/s", "read", _reading("framing"), "≥ 250 MB/s", 250, more=True),
            Row("records told apart: MB/s", "read", _reading("records")),
            Row("history to JSON lines: MB/s", "read", _reading("history"), "≥ 60 MB/s", 60, more=True),
            Row("all rows with the summary: MB/s", "read", _reading("rows")),
            Row("`backhaul watch`, 1,000 runs, idle: % of a core", "watch", _idle("share"), "≤ 2 %", 2),
            Row("the same: MB of memory", "watch", _idle("memory"), "≤ 100 MB", 100),
        ],
    ),
    "footprint": (
        ["what", "measured", "held against", "figure", "goal", "met"],
        [
            *(
                Row(f"`{command}`{more}", "footprint", _start(command))
                for command, more in {
                    "backhaul --help": "",
                    "backhaul --version": "",
                    "backhaul init slurm": "",
                    "backhaul run -- true": ", the job included",
                    "backhaul status empty": ", a folder without runs",
                    "backhaul queue list": ", no runs",
                    "backhaul sync --help": "",
                    "backhaul depot --help": "",
                }.items()
            ),
            Row("the wheel, and all that it needs", "footprint", _wheel),
        ],
    ),
    "depot": (
        ["what", "depot", "held against", "figure", "goal", "met"],
        [
            Row("history lines taken in, 8 clients: a second", "intake", _intake, "≥ 200,000", 200_000, more=True),
            Row("files of 64 MiB, 8 clients", "upload", _upload("65536 KiB"), "≥ 0.6", 0.6, more=True),
            Row("files of 100 KiB, 8 clients", "upload", _upload("100 KiB"), "≥ 0.6", 0.6, more=True),
        ],
    ),
}


_CHARTS = {
    "chart a chart, just taken in": "a chart right after the last row",
    "chart a chart, digested": "a chart",
    "chart over time, digested": "the same over `_timestamp`",
    "chart 5,000 steps of it, digested": "5,000 steps of it",
    "keys digested": "the keys of that run",
}
_LISTS = {
    "list newest": "100,000 runs, the newest (GraphQL)",
    "list by config": "by config",
    "list by summary": "by summary",
    "list narrow filter": "narrow filter",
    "list narrow filter, by summary": "narrow filter, by summary",
    "list broad filter": "broad filter",
    "list broad filter, by config": "broad filter, by config",
    "list broad filter, by summary": "broad filter, by summary",
    "page newest": "the page of runs: newest",
    "page by summary": "the page: by summary",
    "page broad filter, by config": "the page: broad filter, by config",
    "page with a text in a name": "the page: a text in a name",
}
TABLES["answers"] = (
    ["what", "answered", "held against", "first, ms", "goal", "met"],
    [
        *(Row(what, "chart", _answer(name), *_goal_of_a_chart(name)) for name, what in _CHARTS.items()),
        *(Row(what, "lists", _answer(name), "≤ 200 ms", 200) for name, what in _LISTS.items()),
    ],
)


def table_of(name: str, measured: Path) -> str:
    """The Markdown of a table; what has no file is told below it as not measured."""
    if name == "measurements":
        return _measurements(measured)
    heads, rows = TABLES[name]
    lines, missing = [_line(heads), _line(["---"] * len(heads))], dict[str, None]()
    for row in rows:
        if told := _told(measured, row.benchmark):
            lines.append(_line(row.cells(told["figures"])))
        else:
            missing[row.benchmark] = None
    table = lines if len(lines) > 2 else []
    if missing:
        table += ["", f"Not measured on this machine: {', '.join(missing)}."]
    return "\n".join(table).lstrip("\n") + "\n"


def _measurements(measured: Path) -> str:
    """When each figure was measured, with which command, and how busy the machine was."""
    heads = ["benchmark", "command", "when", "took", "load before, after", "cores", "versions"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for name in BENCHMARKS:
        if told := _told(measured, name):
            versions = ", ".join(f"{what} {number}" for what, number in told["versions"].items())
            loads = f"{told['load_before']}, {told['load_after']}"
            command = f"`{told['command']}`"
            cores = f"{told['machine']['cores']}"
            lines.append(_line([name, command, told["date"], f"{told['seconds']:.0f} s", loads, cores, versions]))
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _told(measured: Path, benchmark: str) -> dict[str, Any] | None:
    path = measured / f"{benchmark}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
