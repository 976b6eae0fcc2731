"""A run: what it is, its streams, its files."""

from __future__ import annotations

import json
import sys
from typing import Any

from backhaul.depot import console, numbers, rows
from backhaul.depot.graphql import files, viewers
from backhaul.depot.graphql.connections import connection
from backhaul.depot.graphql.context import Args, Context, Resolvers
from backhaul.depot.graphql.identifiers import encode, of_run
from backhaul.depot.graphql.times import iso
from backhaul.depot.model import EVENTS, HISTORY, OUTPUT, Run
from backhaul.depot.refusal import Refused

_DEFAULT_SAMPLES = 500


def _count(stream: str) -> Any:
    """How far one of the streams reaches, by its name in `LineCounts`."""
    return lambda run, context, _args: getattr(context.line_counts(run), stream)


def _tail(stream: str) -> Any:
    """A JSON list of the last line, as text in a text: the client reads the next step from it.

    Without lines it is an empty row: the Python engine from 0.16 on takes an empty list for a row, and breaks.
    """
    return lambda run, context, _args: json.dumps(context.history.tail(run, stream) or ["{}"])


def _history(run: Run, context: Context, args: Args) -> list[str]:
    first, stop = args.get("minStep"), args.get("maxStep")
    if first is None and stop is None:
        return context.history.sample(run, HISTORY, _samples(args))
    return context.history.page(run, first or 0, sys.maxsize if stop is None else stop)


def _events(run: Run, context: Context, args: Args) -> list[str]:
    return context.history.sample(run, EVENTS, _samples(args))


def _samples(args: Args) -> int:
    samples = args.get("samples")
    return samples if isinstance(samples, int) and samples > 0 else _DEFAULT_SAMPLES


def _sampled_history(run: Run, context: Context, args: Args) -> list[Any]:
    return [_sampled(run, context, spec) for spec in args.get("specs") or []]


def _sampled(run: Run, context: Context, text: str) -> Any:
    """The rows for one spec; unlike in `history`, its `maxStep` is the last step, not the one after it."""
    try:
        spec = json.loads(text)
        keys = [str(key) for key in spec["keys"]]
        first, last = int(spec.get("minStep") or 0), spec.get("maxStep")
        stop = sys.maxsize if last is None else int(last) + 1
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise Refused(f"invalid sampling spec: {error}") from error
    return rows.strict(context.history.sampled(run, keys, _samples(spec), first, stop))


def _parquet_history(run: Run, context: Context, _args: Args) -> Any:
    """No Parquet files: the client then reads pages from the lowest live step on, so that two steps suffice here."""
    lines = context.history.sample(run, HISTORY, 2)
    return {"parquetUrls": [], "liveData": [{"_step": rows.step_of(line, 0)} for line in lines]}


def _wandb_config(run: Run, _context: Context, args: Args) -> str:
    internal = rows.parse(run.config).get("_wandb") or {}
    value = internal.get("value") if isinstance(internal, dict) else None
    known = value if isinstance(value, dict) else {}
    keys = args.get("keys")
    return json.dumps(known if keys is None else {key: known[key] for key in keys if key in known})


def _system_metrics(run: Run, context: Context, _args: Args) -> str:
    return next(iter(context.history.tail(run, EVENTS)), "{}")


def _log_lines(run: Run, context: Context, args: Args) -> Any:
    """The console, page by page from line `after` + 1, or its last `last` lines."""
    last = args.get("last")
    total = context.line_counts(run).output
    after = numbers.whole(str(args.get("after") or ""))
    start = max(0, total - last) if isinstance(last, int) else (after + 1 if after is not None else 0)
    first = args.get("first")
    stop = start + first if isinstance(first, int) else total
    lines = [console.parse(number, line) for number, line in context.store.lines(run.id, OUTPUT, start, stop)]
    return {
        "totalCount": total,
        "edges": [{"cursor": str(line.number), "node": line.as_dict()} for line in lines],
        "pageInfo": {"endCursor": str(max(stop - 1, 0)), "hasNextPage": stop < total},
    }


def _user(run: Run, context: Context, _args: Args) -> Any:
    return viewers.user(run.user or context.services.entity)


RUN: Resolvers = {
    "id": lambda run, _c, _a: of_run(run),
    "internalId": lambda run, _c, _a: encode("RunInternalId", str(run.id)),
    "name": lambda run, _c, _a: run.name,
    "displayName": lambda run, _c, _a: run.display_name,
    "description": lambda run, _c, _a: run.description,
    "notes": lambda run, _c, _a: run.notes,
    "tags": lambda run, _c, _a: list(run.tags),
    "state": lambda run, context, _a: context.state_of(run),
    "config": lambda run, _c, _a: run.config,
    "summaryMetrics": lambda run, _c, _a: run.summary,
    "systemMetrics": _system_metrics,
    "wandbConfig": _wandb_config,
    "group": lambda run, _c, _a: run.group,
    "jobType": lambda run, _c, _a: run.job_type,
    "commit": lambda run, _c, _a: run.commit,
    "sweepName": lambda run, _c, _a: run.sweep,
    "readOnly": lambda _r, _c, _a: False,
    "createdAt": lambda run, _c, _a: iso(run.created_at),
    "heartbeatAt": lambda run, _c, _a: iso(run.heartbeat_at),
    "user": _user,
    "project": lambda run, _c, _a: run.project,
    "projectId": lambda run, _c, _a: run.project.id,
    "historyLineCount": _count("history"),
    "eventsLineCount": _count("events"),
    "logLineCount": _count("output"),
    "historyTail": _tail(HISTORY),
    "eventsTail": _tail(EVENTS),
    "historyKeys": lambda run, context, _a: context.history.keys(run),
    "history": _history,
    "events": _events,
    "sampledHistory": _sampled_history,
    "parquetHistory": _parquet_history,
    "logLines": _log_lines,
    "files": files.of_run,
    "fileCount": files.count,
    "outputArtifacts": lambda run, context, args: connection(context.store.artifacts.logged(run.id), args),
    "inputArtifacts": lambda run, context, args: connection(context.store.artifacts.used(run.id), args),
    "stopped": lambda run, _c, _a: bool(run.stop_requested),
    "shouldStop": lambda run, _c, _a: bool(run.stop_requested),
    "failed": lambda run, context, _a: context.state_of(run) in ("failed", "crashed"),
    "running": lambda run, context, _a: context.state_of(run) == "running",
    "exitcode": lambda run, _c, _a: run.exit_code,
}
