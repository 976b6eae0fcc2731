"""A W&B server as the sync engine speaks to it: one method a question."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from backhaul.errors import BadRequest, CaptivePortal, NotFound, UnexpectedAnswer
from backhaul.wire import documents, reading
from backhaul.wire.artifacts import ArtifactDoor
from backhaul.wire.gathering import Gathering
from backhaul.wire.graphql import GraphQL
from backhaul.wire.lines import LineDoor
from backhaul.wire.message import FileSlice, Transport
from backhaul.wire.remote import ConsoleTail, RunAddress, RunStatus, RunUpsert, UploadTarget, Viewer
from backhaul.wire.run_statuses import RunName, StatusDoor
from backhaul.wire.storage import StorageDoor

# With these the server, or what stands before it, says nothing about the question itself.
_NO_ANSWER = {401, 407, 408, 425, 429, 502, 503, 504}
_NOBODY = (UnexpectedAnswer, CaptivePortal)


class Server:
    """One W&B server, asked with one API key. Nothing is tried twice here.

    `base_url` is the API's address without a last slash needed. `extra_headers` go with every request, uploads too;
    `username` and `email` with GraphQL. `graphql_timeout` (seconds) is for one GraphQL request as a whole; history and
    file pages have the transport's limit on stalls alone. Every method raises what the transport raises and what
    `answers.error_of` makes of an answer, and UnexpectedAnswer for an answer of another shape.
    """

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        api_key: str,
        *,
        extra_headers: Mapping[str, str] | None = None,
        username: str = "",
        email: str = "",
        graphql_timeout: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._features: frozenset[str] | None = None
        self._default_entity: str | None = None
        self._asking_once = asyncio.Lock()
        self._takes_files_with_upsert = True
        basic = base64.b64encode(f"api:{api_key}".encode()).decode("ascii")
        secrets = (basic, api_key)
        headers = {**(extra_headers or {}), "User-Agent": _user_agent()}
        private = {**headers, "Authorization": f"Basic {basic}"}
        self._graphql = GraphQL(
            transport,
            f"{self._base_url}/graphql",
            {**private, "X-WANDB-USERNAME": username, "X-WANDB-USER-EMAIL": email},
            graphql_timeout,
            secrets,
            clock,
        )
        self._lines = LineDoor(transport, self._base_url, private, secrets, clock, self.features)
        self._storage = StorageDoor(transport, self._base_url, headers, clock)
        self._statuses = Gathering(StatusDoor(self._graphql, self.default_entity).ask)

    @property
    def artifacts(self) -> ArtifactDoor:
        """The operations on artifacts."""
        return ArtifactDoor(self._graphql, self._base_url)

    async def viewer(self) -> Viewer | None:
        """Return whose key this is; None when the server does not know the key but does not refuse it either."""
        doing = "Asking whose API key this is"
        response = await self._graphql.send(documents.VIEWER, {}, doing)
        # A known account counts even if some of its fields could not be had.
        error = self._graphql.error_of(response, doing)
        viewer = reading.viewer_of(response)
        if viewer is None and error is not None:
            raise error
        return viewer

    async def default_entity(self) -> str:
        """Return the entity of runs that name none, the key's owner's; empty for an unknown owner. Asked once."""
        async with self._asking_once:
            if self._default_entity is None:
                viewer = await self.viewer()
                self._default_entity = viewer.entity if viewer is not None else ""
            return self._default_entity

    async def ask_with_ballast(self, size: int) -> None:
        """Ask whose key this is, in a request of `size` more bytes: whether large requests pass. It changes nothing."""
        doing = f"Asking with a request of {size} bytes"
        await self._graphql.ask(documents.VIEWER, {"ballast": "x" * size}, doing)

    async def address_of_some_file(self, entity: str | None, project: str) -> str | None:
        """Return where a file of some run of this project can be fetched; None when there is none."""
        doing = f"Asking where {project} keeps its files"
        answer = await self._graphql.ask(documents.SOME_FILE, {"entity": entity, "project": project}, doing)
        url = reading.file_address_of(answer)
        return reading.absolute(url, self._base_url) if url is not None else None

    async def features(self) -> frozenset[str]:
        """Return the names of the features that are switched on; none when the server refuses the question.

        They are asked for once. An answer that is about something else (401, 429, 502 …) is raised, so that it is not
        taken for "no features".
        """
        async with self._asking_once:
            if self._features is None:
                self._features = await self._ask_for_features()
            return self._features

    async def _ask_for_features(self) -> frozenset[str]:
        doing = "Asking for the server's features"
        response = await self._graphql.send(documents.SERVER_FEATURES, {}, doing)
        error = self._graphql.error_of(response, doing)
        if error is None:
            return reading.features_of(self._graphql.data_of(response, doing))
        # Some servers have a page with 404 for what they do not know; a wrong address shows at the next question.
        if response.status not in _NO_ANSWER and (response.status == 404 or not isinstance(error, _NOBODY)):
            return frozenset()
        raise error

    async def upsert_run(self, run: RunUpsert) -> RunAddress:
        """Create the run or change what is given of it, and return where it is."""
        data = await self._graphql.ask(documents.UPSERT_BUCKET, run.variables(), _upserting(run))
        address = reading.address_of(data)
        if run.entity is None:
            self._default_entity = address.entity
        return address

    async def open_run(self, run: RunUpsert, files: Sequence[str] = ()) -> tuple[RunAddress, list[UploadTarget] | None]:
        """Create the run or change what is given of it; return where it is, and where to PUT these files of it.

        Both go in one request. Where the files' places are not to be had so, they are None.
        """
        entity = run.entity or self._default_entity
        if not files or entity is None or not self._takes_files_with_upsert:
            return await self.upsert_run(run), None
        variables = run.variables() | {"of": entity, "in": run.project, "run": run.run_id, "files": list(files)}
        doing = _upserting(run)
        try:
            data = await self._graphql.ask(documents.UPSERT_BUCKET_WITH_FILES, variables, doing)
        except (BadRequest, NotFound, UnexpectedAnswer):
            # Alone it says why the run itself is refused; here the files' part may have been the louder one.
            address = await self.upsert_run(run)
            # The run is fine, so it was the two together: other runs need not try that again.
            self._takes_files_with_upsert = False
            return address, None
        address = reading.address_of(data)
        try:
            return address, reading.targets_of(data, files, self._base_url, doing)
        except UnexpectedAnswer:
            self._takes_files_with_upsert = False
            return address, None

    async def run_status(self, entity: str | None, project: str | None, run_id: str) -> RunStatus | None:
        """Return what the server holds of a run; None when there is no such project or run."""
        return await self._statuses.ask(RunName(entity, project, run_id))

    async def history_rows(self, address: RunAddress, min_step: int, max_step: int, page_size: int) -> list[str]:
        """Return the history rows with `min_step` <= _step < `max_step` as raw JSON texts, `page_size` at most."""
        variables = {
            "entity": address.entity,
            "project": address.project,
            "run": address.run_id,
            "minStep": min_step,
            "maxStep": max_step,
            "pageSize": page_size,
        }
        doing = f"Reading history of {address} from step {min_step}"
        data = await self._graphql.ask(documents.HISTORY_PAGE, variables, doing, patient=True)
        return reading.rows_of(data, doing)

    async def console_tail(self, address: RunAddress, most: int) -> ConsoleTail:
        """Return the last console lines of a run, `most` of them, and how many there are."""
        place = {"entity": address.entity, "project": address.project, "run": address.run_id, "last": most}
        doing = f"Reading the end of the console of {address}"
        return reading.console_tail_of(await self._graphql.ask(documents.CONSOLE_TAIL, place, doing), doing)

    async def file_stream(self, address: RunAddress, body: bytes) -> None:
        """Send one ready `file_stream` body (JSON); it is acknowledged when this returns."""
        await self._lines.send(address, body)

    async def send_alert(self, address: RunAddress, title: str, text: str, severity: str, wait_duration: int) -> None:
        """Send one alert of a run; it becomes a message to people, each time this is called.

        `severity` is INFO, WARN or ERROR. `wait_duration` (milliseconds, as in the alert record) is the shortest
        time between two alerts of the same title.
        """
        variables = {
            "entityName": address.entity,
            "projectName": address.project,
            "runName": address.run_id,
            "title": title,
            "text": text,
            "severity": severity,
            "waitDuration": wait_duration,
        }
        doing = f"Sending the alert {title!r} of {address}"
        data = await self._graphql.ask(documents.ALERT, variables, doing)
        if not data.node("notifyScriptableRunAlert").flag("success"):
            raise UnexpectedAnswer(f"{doing} failed: the server does not confirm it")

    async def create_run_files(self, address: RunAddress, names: Sequence[str]) -> list[UploadTarget]:
        """Return where each of these run files is to be PUT; a file that the server does not want is left out.

        The answer has an address of a kilobyte for each, so that they should be some hundred at most. Raises
        UnexpectedAnswer, with the names, when the server is silent about some of them.
        """
        variables = {
            "entity": address.entity,
            "project": address.project,
            "run": address.run_id,
            "files": list(names),
        }
        doing = f"Asking where to upload files of {address}"
        data = await self._graphql.ask(documents.CREATE_RUN_FILES, variables, doing)
        return reading.targets_of(data, names, self._base_url, doing)

    async def put_file(self, target: UploadTarget, body: bytes | FileSlice, md5: str | None = None) -> None:
        """PUT a file without the API key; with `md5` (hex or base64) the store's own MD5 is compared.

        Raises ConnectionLost when the store received other bytes, ServerUnavailable when the address has expired: a new
        one must be asked for, so a retry begins at `create_run_files`.
        """
        await self._storage.put_file(target, body, md5)

    async def put_part(self, target: UploadTarget, body: FileSlice, md5: str) -> str:
        """PUT one part of a file in parts; returns the store's ETag as it came, which the completion must name."""
        return await self._storage.put_part(target, body, md5)


def _upserting(run: RunUpsert) -> str:
    place = "/".join(part or "(default)" for part in (run.entity, run.project, run.run_id))
    return f"Creating or updating the run {place}"


def _user_agent() -> str:
    try:
        return f"backhaul/{version('backhaul')}"
    except PackageNotFoundError:
        return "backhaul/unknown"
