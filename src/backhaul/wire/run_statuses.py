"""What a server holds of runs: the question before the first line is sent, and the same question to prove the last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from backhaul.errors import UnexpectedAnswer
from backhaul.wire import documents, reading
from backhaul.wire.graphql import GraphQL
from backhaul.wire.remote import RemoteFile, RunStatus

_FILES_PER_PAGE = 200


class RunName(NamedTuple):
    """A run as it is asked for; None is the server's default."""

    entity: str | None
    project: str | None
    run_id: str


class StatusDoor:
    """Asks about several runs in one request. `default_entity` tells the entity of a run that names none."""

    def __init__(self, graphql: GraphQL, default_entity: Callable[[], Awaitable[str]]) -> None:
        self._graphql = graphql
        self._default_entity = default_entity

    async def ask(self, runs: Sequence[RunName]) -> list[RunStatus | None]:
        """What the server holds of each, with all its files; None where there is no such project or run."""
        variables: dict[str, object] = {"files": _FILES_PER_PAGE}
        for number, (entity, project, run_id) in enumerate(runs):
            tail = number or ""
            variables |= {f"project{tail}": project, f"entity{tail}": entity, f"name{tail}": run_id}
        doing = f"Asking for the state of the run {', '.join(run.run_id for run in runs)}"
        data = await self._graphql.ask(documents.run_statuses(len(runs)), variables, doing, patient=True)
        return [await self._whole(reading.status_of(data, number), run) for number, run in enumerate(runs)]

    async def _whole(self, first: tuple[RunStatus, str | None] | None, run: RunName) -> RunStatus | None:
        """The status with the files of all pages."""
        if first is None or first[1] is None:
            return first and first[0]
        status, cursor = first
        return replace(status, files=(*status.files, *await self._more_files(run, cursor)))

    async def _more_files(self, run: RunName, cursor: str | None) -> list[RemoteFile]:
        doing = f"Listing the files of the run {run.run_id}"
        place = {"entity": run.entity or await self._default_entity(), "project": run.project, "name": run.run_id}
        files: list[RemoteFile] = []
        seen: set[str] = set()
        while cursor is not None:
            if cursor in seen:
                raise UnexpectedAnswer(f"{doing} failed: the server gives the same page again and again")
            seen.add(cursor)
            variables = {**place, "fileLimit": _FILES_PER_PAGE, "fileCursor": cursor}
            data = await self._graphql.ask(documents.RUN_FILES, variables, doing, patient=True)
            page, cursor = reading.file_page_of(data, doing)
            files += page
        return files
