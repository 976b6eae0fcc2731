"""What clients may change."""

from __future__ import annotations

import json
from typing import Any

from backhaul.depot import names, rows
from backhaul.depot.graphql import identifiers
from backhaul.depot.graphql.artifact_mutations import ARTIFACT_MUTATIONS
from backhaul.depot.graphql.collection_mutations import COLLECTION_MUTATIONS
from backhaul.depot.graphql.context import Args, Context, Resolvers, text
from backhaul.depot.graphql.files import FileNode
from backhaul.depot.graphql.places import place, run_named
from backhaul.depot.graphql.sweeps import SWEEP_MUTATIONS
from backhaul.depot.model import HISTORY, Run, RunEdit
from backhaul.depot.refusal import Refused, not_found


def upsert_bucket(_source: Any, context: Context, args: Args) -> Any:
    """Opens a run by `name` (the run id), or edits one by `id` alone; null leaves a value as it is.

    What the answer says in `historyLineCount` decides whether the official engine appends: it starts its history at
    that line when it is above 0. So the log of a resumed session goes behind those before it; and a log that is
    synced again comes a second time, whose rows the store leaves out (`store.resent`).

    An edit by `id` alone (`wandb.Api`) creates nothing, and does not make a finished run a running one.
    """
    fields = args["input"]
    edit = _edit(fields)
    name, identifier = text(fields, "name"), text(fields, "id")
    if name is None and identifier is None:
        raise Refused("upsertBucket: a run needs a name")
    if name is None:
        run = _run_by_id(context, identifier)
        return _opened(context.store.edit_run(run.id, edit), inserted=False)
    entity, project = place(context, fields, "modelName")
    run, inserted = context.store.open_run(entity, project, names.run_id(name), edit, context.user.name)
    _inherit(context, run)
    return _opened(run, inserted)


def _inherit(context: Context, run: Run) -> None:
    """Gives a fork its parent's history up to the step at which they part; `config._wandb` says both."""
    if '"branch_point"' not in run.config:
        return
    internal = rows.parse(run.config).get("_wandb")
    point = rows.value_at(internal, "value.branch_point") if isinstance(internal, dict) else None
    if not isinstance(point, dict) or point.get("run_id") == run.name or not isinstance(point.get("step"), int | float):
        return
    parent = context.store.run(run.project.entity, run.project.name, str(point.get("run_id")))
    if parent is not None:
        context.store.inherit(run.id, parent.id, context.history.line_after_step(parent, point["step"]))


def _opened(run: Run, inserted: bool) -> dict[str, Any]:
    return {"bucket": run, "inserted": inserted, "serverSettings": {"serverMessages": []}}


def _edit(fields: Args) -> RunEdit:
    tags, job_type, state = fields.get("tags"), fields.get("jobType"), text(fields, "state")
    return RunEdit(
        display_name=text(fields, "displayName"),
        config=_json_object(fields, "config"),
        summary=_json_object(fields, "summaryMetrics"),
        notes=fields.get("notes"),
        description=fields.get("description"),
        tags=None if tags is None else tuple(names.tag(tag) for tag in tags),
        group=fields.get("groupName"),
        job_type=None if job_type is None else names.job_type(job_type),
        host=fields.get("host"),
        program=fields.get("jobProgram"),
        commit=fields.get("commit"),
        repo=fields.get("jobRepo"),
        sweep=text(fields, "sweep"),
        state=None if state is None else names.state(state),
    )


def _json_object(fields: Args, name: str) -> str | None:
    """The text of a JSON object, kept as it came (it may hold NaN). Refused with 400 when it is none."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{name} is not JSON: {error}") from error
    if parsed is not None and not isinstance(parsed, dict):
        raise Refused(f"{name} is not a JSON object")
    return None if parsed is None else str(value)


def _run_place(identifier: str | None) -> tuple[str, str, str]:
    """Entity, project and run id in a storage id; empty texts, which nothing has, for one that is none."""
    parts = identifiers.decode(identifier or "")
    return (parts[4], parts[3], parts[2]) if parts[:2] == ["Run", "v1"] and len(parts) == 5 else ("", "", "")


def _find_run(context: Context, identifier: str | None) -> Run | None:
    return context.store.run(*_run_place(identifier))


def _run_by_id(context: Context, identifier: str | None) -> Run:
    run = _find_run(context, identifier)
    if run is None:
        raise not_found(f"run with the id {identifier!r}")
    return run


def _create_run_files(_source: Any, context: Context, args: Args) -> Any:
    fields = args["input"]
    run = run_named(context, fields)
    wanted = [names.file_name(name) for name in fields["files"]]
    straight = context.straight(run, wanted)
    files = [FileNode(run, name, None, straight.get(name)) for name in wanted]
    return {"runID": identifiers.of_run(run), "uploadHeaders": [], "files": files}


def _mark_run_files_uploaded(_source: Any, context: Context, args: Args) -> Any:
    """A file that passed through the depot shows as soon as its PUT is whole; the others are looked for."""
    fields = args["input"]
    context.services.look(run_named(context, fields), fields.get("files") or [])
    return {"success": True}


def _delete_files(_source: Any, context: Context, args: Args) -> Any:
    for identifier in args["input"].get("files") or []:
        parts = identifiers.decode(identifier)
        if parts[:2] != ["File", "v1"] or len(parts) < 6:
            raise not_found(f"file with the id {identifier!r}")
        run = context.store.run(parts[4], parts[3], parts[2])
        blobs = context.store.delete_files(run.id, [":".join(parts[5:])]) if run else []
        for blob in blobs:
            context.services.blobs.remove(blob)
    return {"success": True}


def _delete_run(_source: Any, context: Context, args: Args) -> Any:
    """Deletes; a run that was deleted before is deleted still, so that a request may come twice."""
    fields = args["input"]
    identifier = text(fields, "id")
    run = _find_run(context, identifier)
    if run is None:
        if not context.store.was_deleted(*_run_place(identifier)):
            raise not_found(f"run with the id {identifier!r}")
        return {"clientMutationId": fields.get("clientMutationId")}
    if fields.get("deleteArtifacts"):
        for artifact in context.store.artifacts.logged(run.id):
            if artifact.run_id == run.id:  # one that it brought again belongs to the run that was first
                context.store.artifacts.delete(artifact.id, with_aliases=True)
    for blob in context.store.delete_run(run.id):
        context.services.blobs.remove(blob)
    return {"clientMutationId": fields.get("clientMutationId")}


def _update_run_state(_source: Any, context: Context, args: Args) -> Any:
    fields = args["input"]
    run = _run_by_id(context, text(fields, "id"))
    before, after = context.state_of(run), names.state(fields.get("state") or "")
    if before == after:
        raise Refused(f"invalid state transition: the run is {before} already")
    context.store.edit_run(run.id, RunEdit(state=after))
    return {"success": True}


def _stop_run(_source: Any, context: Context, args: Args) -> Any:
    context.store.request_stop(_run_by_id(context, text(args["input"], "id")).id)
    return {"success": True, "clientMutationId": args["input"].get("clientMutationId")}


def _rewind_run(_source: Any, context: Context, args: Args) -> Any:
    """Forgets the history after the step; the answer's `historyLineCount` is where the client goes on."""
    fields = args["input"]
    run = run_named(context, fields)
    if fields.get("metricName") != "_step":
        raise Refused("rewindRun: only the metric _step is supported by this depot")
    end = context.history.line_after_step(run, fields["metricValue"])
    context.store.truncate(run.id, HISTORY, end)
    return {"rewoundRun": run}


def _upsert_project(_source: Any, context: Context, args: Args) -> Any:
    entity, name = place(context, args["input"], "name")
    before = context.store.project(entity, name)
    project = context.store.make_project(entity, name)
    return {"project": project, "model": project, "inserted": before is None}


def _alert(_source: Any, context: Context, args: Args) -> Any:
    fields = args["input"]
    run = run_named(context, fields)
    context.store.add_alert(
        run.id, fields.get("title") or "", fields.get("text") or "", fields.get("severity") or "INFO"
    )
    return {"success": True}


MUTATION: Resolvers = {
    "upsertBucket": upsert_bucket,
    "upsertModel": _upsert_project,
    "createRunFiles": _create_run_files,
    "markRunFilesUploaded": _mark_run_files_uploaded,
    "deleteFiles": _delete_files,
    "deleteRun": _delete_run,
    "updateRunState": _update_run_state,
    "stopRun": _stop_run,
    "rewindRun": _rewind_run,
    "notifyScriptableRunAlert": _alert,
    **ARTIFACT_MUTATIONS,
    **COLLECTION_MUTATIONS,
    **SWEEP_MUTATIONS,
}
