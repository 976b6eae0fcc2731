"""From the `data` of a GraphQL answer to values: one function an operation, each from shape to shape."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from backhaul.errors import NotFound, UnexpectedAnswer
from backhaul.wire.message import Response
from backhaul.wire.remote import ConsoleLine, ConsoleTail, RemoteFile, RunAddress, RunStatus, UploadTarget, Viewer
from backhaul.wire.shape import Node

_SHOWN_NAMES = 5


def viewer_of(response: Response) -> Viewer | None:
    """The account in an answer to `Viewer`, or None; errors beside a known account are passed over."""
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        return None
    data = document.get("data") if isinstance(document, dict) else None
    viewer = data.get("viewer") if isinstance(data, dict) else None
    if not isinstance(viewer, dict):
        return None
    node = Node(viewer, "data.viewer")
    return Viewer(node.text_or("entity"), node.text_or("username"), node.text_or("email"))


def features_of(data: Node) -> frozenset[str]:
    """The names of the features that are on; a server without `serverInfo` has none."""
    info = data.node_or_none("serverInfo")
    if info is None or info.raw("features") is None:
        return frozenset()
    return frozenset(node.text("name") for node in info.nodes("features") if node.flag("isEnabled"))


def file_address_of(data: Node) -> str | None:
    """The first address of a file in the answer to `SomeFile`."""
    project = data.node_or_none("project")
    runs = project.node("runs").nodes("edges") if project is not None else []
    files = [edge for run in runs for edge in run.node("node").node("files").nodes("edges")]
    return next((url for file in files if (url := file.node("node").text_or("directUrl"))), None)


def address_of(data: Node) -> RunAddress:
    """Where the run is, from the answer to `UpsertBucket`."""
    answer = data.node("upsertBucket")
    bucket = answer.node("bucket")
    project = bucket.node("project")
    inserted = answer.flag("inserted")
    # Unknown is not zero: only a new run is known to have no lines without being told.
    lines = bucket.count_or_none("historyLineCount") if inserted else bucket.count("historyLineCount")
    return RunAddress(
        entity=project.node("entity").text("name"),
        project=project.text("name"),
        run_id=bucket.text("name"),
        storage_id=bucket.text("id"),
        display_name=bucket.text_or("displayName"),
        history_line_count=lines or 0,
    )


def status_with_files_of(data: Node, number: int) -> tuple[RunStatus, str | None] | None:
    """What the server holds of run `number` of an answer to `run_statuses`, and the cursor to more of its files."""
    bucket = _bucket(data, f"model{number or ''}")
    if bucket is None:
        return None
    files, cursor = _file_page(bucket.node("files"))
    return replace(_status(bucket), files=tuple(files)), cursor


def status_of(data: Node) -> RunStatus | None:
    """What the server holds of a run, from the answer to `RUN_STATUS`: without files."""
    bucket = _bucket(data, "model")
    return None if bucket is None else _status(bucket)


def _bucket(data: Node, name: str) -> Node | None:
    """The run under `name`; None when the server has none. Raises UnexpectedAnswer when it is silent about it."""
    model = data.answered(name)
    return None if model is None else model.answered("bucket")


def _status(bucket: Node) -> RunStatus:
    return RunStatus(
        history_lines=bucket.count("historyLineCount"),
        events_lines=bucket.count("eventsLineCount"),
        output_lines=bucket.count("logLineCount"),
        summary=bucket.text_or("summaryMetrics", "{}"),
        config=bucket.text_or("config", "{}"),
        history_tail=bucket.lines("historyTail"),
        events_tail=bucket.lines("eventsTail"),
        display_name=bucket.text_or("displayName"),
        tags=tuple(bucket.texts("tags")),
        notes=bucket.text_or("notes"),
        started=_has_started(bucket.raw("wandbConfig")),
        state=bucket.text_or("state"),
    )


def _has_started(wandb_config: object) -> bool:
    try:
        config = json.loads(wandb_config) if isinstance(wandb_config, str) else wandb_config
    except (ValueError, RecursionError):
        return False
    return isinstance(config, dict) and "t" in config


def rows_of(data: Node, doing: str) -> list[str]:
    """The rows of an answer to `HistoryPage`; NotFound when there is no such run."""
    return _existing_run(data, doing).texts("history")


def console_tail_of(data: Node, doing: str) -> ConsoleTail:
    """The end of the console in an answer to `RunConsoleLogTail`; NotFound when there is no such run."""
    run = _existing_run(data, doing)
    shown = run.node_or_none("logLines")
    nodes = [edge.node("node") for edge in shown.nodes("edges")] if shown is not None else []
    lines = (ConsoleLine(node.count("number"), node.text_or("timestamp"), node.text_or("line")) for node in nodes)
    return ConsoleTail(run.count("logLineCount"), tuple(lines))


def targets_of(data: Node, names: Sequence[str], base_url: str, doing: str) -> list[UploadTarget]:
    """One target for each of `names` that the server wants, in their order."""
    answer = data.node("createRunFiles")
    headers = upload_headers(answer.texts("uploadHeaders"))
    urls = {file.text("name"): file.text_or("uploadUrl") for file in answer.nodes("files")}
    missing = [name for name in names if name not in urls]
    if missing:
        shown = ", ".join(missing[:_SHOWN_NAMES]) + (", …" if len(missing) > _SHOWN_NAMES else "")
        raise UnexpectedAnswer(f"{doing} failed: no answer about {len(missing)} of {len(names)} files: {shown}")
    return [UploadTarget(name, absolute(urls[name], base_url), headers) for name in names if urls[name]]


def upload_headers(lines: Sequence[str]) -> dict[str, str]:
    """The headers that an upload must carry, from `Name:value` texts."""
    return dict(_header(line) for line in lines)


def absolute(url: str, base_url: str) -> str:
    """An address that a server gave out, which may begin at its own `base_url` (without a last slash)."""
    return base_url + url if url.startswith("/") else url


def file_page_of(data: Node, doing: str) -> tuple[list[RemoteFile], str | None]:
    """The files of one page of `RunFiles`, and the cursor of the next page if there is one."""
    return _file_page(_existing_run(data, doing).node("files"))


def files_of(data: Node, doing: str) -> list[RemoteFile]:
    """All files, from the answer to `RUN_FILES_AT_ONCE`."""
    return _files(_existing_run(data, doing).node("files"))


def _file_page(connection: Node) -> tuple[list[RemoteFile], str | None]:
    page = connection.node("pageInfo")
    return _files(connection), page.text("endCursor") if page.flag("hasNextPage") else None


def _files(connection: Node) -> list[RemoteFile]:
    return [_file(edge.node("node")) for edge in connection.nodes("edges")]


def _file(node: Node) -> RemoteFile:
    return RemoteFile(
        name=node.text("name"),
        size=node.count_or_none("sizeBytes") or 0,
        md5=node.text_or("md5") or None,
    )


def _run_node(data: Node) -> Node | None:
    project = data.node_or_none("project")
    return None if project is None else project.node_or_none("run")


def _existing_run(data: Node, doing: str) -> Node:
    run = _run_node(data)
    if run is None:
        raise NotFound(f"{doing} failed: the server has no such run")
    return run


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()
