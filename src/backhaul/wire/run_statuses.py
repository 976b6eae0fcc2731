"""What a server holds of runs: the question before the first line is sent, and the same question to prove the last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from backhaul.errors import BadRequest, UnexpectedAnswer
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
    """Asks about several runs in one request. `default_entity` tells the entity of a run that names none.

    A server that does not take our question, several runs with their files in one, is asked what the official client
    asks: one run, then its files.
    """

    def __init__(self, graphql: GraphQL, default_entity: Callable[[], Awaitable[str]]) -> None:
        self._graphql = graphql
        self._default_entity = default_entity
        self._takes_several = True
        self._takes_pages = True

    async def ask(self, runs: Sequence[RunName]) -> list[RunStatus | None]:
        """What the server holds of each, with all its files; None where there is no such project or run."""
        if not self._takes_several:
            return [await self._ask_plainly(run) for run in runs]
        try:
            firsts = await self._ask_together(runs)
        except (BadRequest, UnexpectedAnswer):
            if len(runs) > 1:
                raise
            status = await self._ask_plainly(runs[0])
            self._takes_several = False
            return [status]
        return [await self._whole(first, run) for first, run in zip(firsts, runs, strict=True)]

    async def _ask_together(self, runs: Sequence[RunName]) -> list[tuple[RunStatus, str | None] | None]:
        variables: dict[str, object] = {"files": _FILES_PER_PAGE}
        for number, (entity, project, run_id) in enumerate(runs):
            tail = number or ""
            variables |= {f"project{tail}": project, f"entity{tail}": entity, f"name{tail}": run_id}
        doing = f"Asking for the state of the run {', '.join(run.run_id for run in runs)}"
        data = await self._graphql.ask(documents.run_statuses(len(runs)), variables, doing, patient=True)
        return [reading.status_with_files_of(data, number) for number in range(len(runs))]

    async def _whole(self, first: tuple[RunStatus, str | None] | None, run: RunName) -> RunStatus | None:
        """The status with the files of all pages."""
        if first is None or first[1] is None:
            return first and first[0]
        status, cursor = first
        return replace(status, files=(*status.files, *await self._files(run, cursor)))

    async def _ask_plainly(self, run: RunName) -> RunStatus | None:
        doing = f"Asking for the state of the run {run.run_id}"
        variables = {"project": run.project, "entity": run.entity, "name": run.run_id}
        data = await self._graphql.ask(documents.RUN_STATUS, variables, doing, patient=True)
        status = reading.status_of(data)
        return status and replace(status, files=tuple(await self._files(run, None)))

    async def _files(self, run: RunName, cursor: str | None) -> list[RemoteFile]:
        """The files from `cursor` on; None is the beginning."""
        doing = f"Listing the files of the run {run.run_id}"
        files: list[RemoteFile] = []
        seen: set[str] = set()
        while True:
            page, cursor = await self._page(run, cursor, doing)
            files += page
            if cursor is None:
                return files
            if cursor in seen:
                raise UnexpectedAnswer(f"{doing} failed: the server gives the same page again and again")
            seen.add(cursor)

    async def _page(self, run: RunName, cursor: str | None, doing: str) -> tuple[list[RemoteFile], str | None]:
        place = {"entity": run.entity or await self._default_entity(), "project": run.project, "name": run.run_id}
        if self._takes_pages:
            variables = {**place, "fileLimit": _FILES_PER_PAGE, "fileCursor": cursor}
            try:
                data = await self._graphql.ask(documents.RUN_FILES, variables, doing, patient=True)
                return reading.file_page_of(data, doing)
            except BadRequest:
                if cursor is not None:
                    raise
        data = await self._graphql.ask(documents.RUN_FILES_AT_ONCE, place, doing, patient=True)
        self._takes_pages = False
        return reading.files_of(data, doing), None
