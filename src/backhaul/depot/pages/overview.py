"""What a run was: where it ran, with which config, and what came of it."""

from __future__ import annotations

from typing import Any

from backhaul.depot import rows
from backhaul.depot.model import Run
from backhaul.depot.pages import heading, shown
from backhaul.depot.pages.shown import Pair
from backhaul.depot.pages.visit import Visit

_METADATA = "wandb-metadata.json"
_LARGEST_METADATA = 1 << 20
_MOST_ROWS = 1000

_FACTS = {
    "host": "Host",
    "program": "Program",
    "args": "Arguments",
    "codePath": "Code",
    "os": "System",
    "python": "Python",
    "executable": "Interpreter",
    "username": "System user",
    "root": "Folder",
    "cpu_count": "CPU cores",
    "cpu_count_logical": "CPU threads",
    "gpu": "GPU",
    "gpu_count": "GPUs",
    "git.remote": "Git remote",
    "git.commit": "Git commit",
    "slurm.job_id": "Slurm job",
    "startedAt": "Started",
}


def view(visit: Visit) -> dict[str, Any]:
    """Facts, config and summary; `q` keeps the keys and values with that text."""
    run = visit.run()
    return heading.of_page(visit, run, "overview") | {
        "q": visit.text("q"),
        "facts": _facts(visit, run),
        "config": _table(shown.pairs(shown.config(run)), visit.text("q")),
        "summary": _table(shown.pairs(shown.summary(run)), visit.text("q")),
    }


def state(visit: Visit) -> dict[str, Any]:
    """What changes while the run goes on."""
    return heading.of_run(visit, visit.run())


def _table(pairs: list[Pair], text: str) -> dict[str, Any]:
    """The first rows that have the text in them, and how many rows there are."""
    wanted = text.casefold()
    found = [pair for pair in pairs if wanted in pair["key"].casefold() or wanted in pair["value"].casefold()]
    return {"rows": found[:_MOST_ROWS], "found": len(found), "total": len(pairs)}


def _facts(visit: Visit, run: Run) -> list[Pair]:
    """What the client said of the machine and the code, in `wandb-metadata.json` or when it opened the run."""
    said = _metadata(visit, run)
    told = {"host": run.host, "program": run.program, "git.remote": run.repo, "git.commit": run.commit}
    known = {name: value for name, value in told.items() if value} | said
    return [{"key": label, "value": _fact(known[name])} for name, label in _FACTS.items() if known.get(name)]


def _metadata(visit: Visit, run: Run) -> dict[str, Any]:
    stored = visit.store.file(run.id, _METADATA)
    if stored is None or stored.size > _LARGEST_METADATA:
        return {}
    text = visit.services.blobs.read(stored.blob).decode("utf-8", "replace")
    return rows.flat(rows.parse(text))


def _fact(value: Any) -> str:
    """A list of arguments reads as the command line did."""
    return " ".join(map(str, value)) if isinstance(value, list) else shown.text(value)
