"""What the pages show, as plain values: the templates and the JSON twins are made of the same."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from backhaul.depot import console, rows
from backhaul.depot.callers import base_of
from backhaul.depot.graphql.context import Services
from backhaul.depot.graphql.times import iso
from backhaul.depot.model import EVENTS, HISTORY, OUTPUT, Run
from backhaul.depot.refusal import not_found

_MOST_RUNS = 500
_CONSOLE_TAIL = 200


class Views:
    """Reads what a page needs."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store

    def index(self, request: Request) -> dict[str, Any]:
        """All runs, newest first, at most `_MOST_RUNS`."""
        return self._list(request, "Runs", None, self._store.runs(limit=_MOST_RUNS))

    def project(self, request: Request) -> dict[str, Any]:
        """The runs of one project. Refused with 404 when there is none."""
        entity, name = request.path_params["entity"], request.path_params["project"]
        project = self._store.project(entity, name)
        if project is None:
            raise not_found(f"project {entity}/{name}")
        return self._list(request, name, f"{entity}/{name}", self._store.runs(project.id, limit=_MOST_RUNS))

    def _list(self, request: Request, title: str, project: str | None, runs: list[Run]) -> dict[str, Any]:
        address = base_of(request, self._services.public_url).rstrip("/")
        return {"title": title, "project": project, "address": address, "runs": [self._row(run) for run in runs]}

    def find(self, request: Request) -> Run:
        """The run that the path names. Refused with 404 when there is none."""
        entity, project, name = (request.path_params[part] for part in ("entity", "project", "run"))
        run = self._store.run(entity, project, name)
        if run is None:
            raise not_found(f"run {entity}/{project}/{name}")
        return run

    def run(self, request: Request) -> dict[str, Any]:
        """One run: what it is, its charts' keys, config, summary, files, the end of its console."""
        run = self.find(request)
        return {
            "title": run.display_name,
            "run": self._row(run) | {"notes": run.notes, "host": run.host, "program": run.program, "group": run.group},
            "metrics": self._numeric_keys(run, HISTORY),
            "system": self._numeric_keys(run, EVENTS),
            "config": _shown(_config(run)),
            "summary": _shown(rows.flat(rows.parse(run.summary))),
            "files": self._files(run),
            "console": self._console(run),
            "console_tail": _CONSOLE_TAIL,
        }

    def _row(self, run: Run) -> dict[str, Any]:
        counts = self._store.line_counts(run.id)
        return {
            "id": run.name,
            "name": run.display_name,
            "entity": run.project.entity,
            "project": run.project.name,
            "state": run.state_at(self._services.clock()),
            "created": iso(run.created_at),
            "duration": _duration(_seconds(run)),
            "rows": counts.history,
            "tags": list(run.tags),
            "path": _path(run),
            "project_path": f"/{quote(run.project.entity, safe='')}/{quote(run.project.name, safe='')}",
        }

    def _numeric_keys(self, run: Run, stream: str) -> list[str]:
        facts = (self._services.history.keys(run, stream) or {}).get("keys", {})
        numeric = [key for key, fact in facts.items() if any(kind["type"] == "number" for kind in fact["typeCounts"])]
        return sorted(key for key in numeric if not key.startswith("_"))

    def _files(self, run: Run) -> list[dict[str, Any]]:
        root = f"/files{_path(run).replace('/runs/', '/', 1)}"
        files = self._store.files(run.id)
        return [{"name": file.name, "size": file.size, "path": f"{root}/{quote(file.name)}"} for file in files]

    def _console(self, run: Run) -> list[dict[str, Any]]:
        end = self._store.line_counts(run.id).output
        lines = self._store.lines(run.id, OUTPUT, max(0, end - _CONSOLE_TAIL))
        return [console.parse(number, line).as_dict() for number, line in lines]


def _path(run: Run) -> str:
    entity, project, name = (quote(part, safe="") for part in (run.project.entity, run.project.name, run.name))
    return f"/{entity}/{project}/runs/{name}"


def _seconds(run: Run) -> float:
    """How long the run ran, as it says itself; a synced run arrives in a fraction of that."""
    said = rows.value_at(rows.parse(run.summary), "_runtime")
    finite = isinstance(said, (int, float)) and math.isfinite(said)
    return float(said) if finite else run.heartbeat_at - run.created_at


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds, the leading ones left out when they are zero."""
    hours, rest = divmod(round(max(0.0, seconds)), 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{hours}h"] * bool(hours) + [f"{minutes}m"] * bool(hours or minutes) + [f"{left}s"]
    return " ".join(parts)


def _config(run: Run) -> dict[str, Any]:
    items = rows.parse(run.config).items()
    bare = {key: item.get("value", item) if isinstance(item, dict) else item for key, item in items if key != "_wandb"}
    return rows.flat(bare)


def _shown(values: dict[str, Any]) -> list[dict[str, str]]:
    """Keys and values as text, by key; what the SDK keeps for itself is left out."""
    shown = {key: value for key, value in values.items() if not key.startswith("_")}
    return [{"key": key, "value": _text(value)} for key, value in sorted(shown.items())]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict) and "_type" in value:  # media: what it is and where it lies, not its bookkeeping
        return " ".join(str(value[part]) for part in ("_type", "path") if value.get(part))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
