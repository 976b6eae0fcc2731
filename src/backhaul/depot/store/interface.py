"""The interface between the depot and what it keeps its runs in.

Every method that changes something returns only when the change is durable; a method that raises changed nothing.
All methods may be called from any thread. Unknown ids raise `Refused` (404).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol

from backhaul.depot.artifact import Artifact, Collection, Content, Draft, Entry, Manifest, Membership, Stray, Upload
from backhaul.depot.model import (
    BatchRef,
    Blob,
    Delivery,
    LineCounts,
    Project,
    ProjectFacts,
    Run,
    RunEdit,
    StoredFile,
    Stretch,
    StretchDraft,
)
from backhaul.depot.selection import RunPage, Wanted
from backhaul.depot.sweeps import Agent, Proposal, Sweep, SweepEdit


class Store(Protocol):
    """Projects, runs, their streams of lines, and the names of their files."""

    @property
    def artifacts(self) -> Artifacts:
        """The artifacts."""

    @property
    def uploads(self) -> Uploads:
        """The uploads of artifacts that come in parts."""

    def make_project(self, entity: str, name: str) -> Project:
        """The project of that name, made if it is new."""

    def project(self, entity: str, name: str) -> Project | None:
        """The project of that name, or None."""

    def projects(self, entity: str | None = None) -> list[Project]:
        """All projects (of one entity, when given), newest first."""

    def project_facts(self) -> list[ProjectFacts]:
        """All projects with how much is in them, in no order."""

    def open_run(
        self, entity: str, project: str, name: str, edit: RunEdit, user: str | None = None
    ) -> tuple[Run, bool]:
        """The run of that id with `edit` applied and its state running, and whether it is new.

        The project is made on first use; a new run is `user`'s. The id of a deleted run is refused with 409.
        """

    def edit_run(self, run_id: int, edit: RunEdit) -> Run:
        """The run with `edit` applied; its state changes only if `edit` says so."""

    def request_stop(self, run_id: int) -> None:
        """Asks the run to stop: its client is told so until the run is opened again."""

    def delete_run(self, run_id: int) -> list[str]:
        """Removes a run with its lines and files; its name stays taken. Returns the names of its files' blobs."""

    def was_deleted(self, entity: str, project: str, name: str) -> bool:
        """Whether there was a run of that id which was deleted."""

    def run(self, entity: str, project: str, name: str) -> Run | None:
        """The run of that id, or None when there is none or it was deleted."""

    def runs(self, project_id: int | None = None, limit: int | None = None) -> list[Run]:
        """The runs of a project (or of all), newest first, at most `limit`."""

    def select(self, project_id: int, wanted: Wanted) -> RunPage | None:
        """A page of the runs that fulfil a condition; None when the store cannot tell which do."""

    def refresh_facets(self) -> bool:
        """Prepares some runs that changed for `select`, which else does it itself; whether some are left."""

    def deliver(self, run_id: int, delivery: Delivery) -> None:
        """Stores one `file_stream` request: a line written again replaces the line of that number.

        The run becomes running, or what `complete` and `preempting` say.
        """

    def line_counts(self, run_id: int) -> LineCounts:
        """How far the streams of the run reach."""

    def truncate(self, run_id: int, stream: str, end: int) -> None:
        """Forgets the lines of a stream from number `end` on."""

    def inherit(self, run_id: int, parent_id: int, end: int) -> None:
        """Gives a run without history that of its parent up to before line `end`, under numbers below 0."""

    def batches(self, run_id: int, stream: str) -> list[BatchRef]:
        """The batches of a stream in the order of their lines; they never overlap, and may leave holes."""

    def batch_lines(self, batch_id: int) -> list[str] | None:
        """The lines of a batch, or None when it was replaced in the meantime."""

    def stretches(self, run_id: int, stream: str) -> list[Stretch]:
        """The stretches of a stream in the order of their lines; they never overlap, and need not cover all lines."""

    def stretch_facts(self, stretch_id: int) -> str | None:
        """The facts about the keys of a stretch, or None when it is gone."""

    def stretch_column(self, run_id: int, stream: str, key: str) -> dict[int, bytes]:
        """A key's packed columns, by the ids of the stretches that have the key."""

    def put_stretch(self, run_id: int, stream: str, draft: StretchDraft) -> bool:
        """Keeps a stretch; False, and nothing kept, when its lines are no longer those that it was made of."""

    def lines(self, run_id: int, stream: str, first: int = 0, end: int | None = None) -> Iterator[tuple[int, str]]:
        """The lines from number `first` to before `end`, each with its number, holes left out."""

    def put_file(self, run_id: int, name: str, blob: Blob) -> str | None:
        """Makes `blob` the content of the run's file; returns the name of the blob that it replaced."""

    def file(self, run_id: int, name: str) -> StoredFile | None:
        """The run's file of that name, or None."""

    def files(self, run_id: int) -> list[StoredFile]:
        """The run's files by name."""

    def delete_files(self, run_id: int, names: list[str]) -> list[str]:
        """Forgets those files; returns the names of their blobs."""

    def add_alert(self, run_id: int, title: str, text: str, severity: str) -> None:
        """Keeps an alert that the run raised."""

    def named_blobs(self, start: str) -> set[str]:
        """The blobs whose names start with that hexadecimal digit, and which are the content of something."""

    def make_sweep(self, entity: str, project: str, edit: SweepEdit, user: str | None = None) -> Sweep:
        """A new sweep; the project is made on first use."""

    def edit_sweep(self, sweep_id: int, edit: SweepEdit) -> Sweep:
        """The sweep with `edit` applied."""

    def sweep_of(self, sweep_id: int) -> Sweep:
        """The sweep of that number. Refused with 404 when there is none."""

    def sweep(self, project_id: int, name: str) -> Sweep | None:
        """The project's sweep of that name, or None."""

    def sweeps(self, project_id: int) -> list[Sweep]:
        """The project's sweeps, newest first."""

    def make_agent(self, sweep_id: int, host: str) -> Agent:
        """A new agent of the sweep."""

    def agent(self, agent_id: int) -> Agent:
        """The agent of that number. Refused with 404 when there is none."""

    def agents(self, sweep_id: int) -> list[Agent]:
        """The sweep's agents, oldest first."""

    def beat(self, agent_id: int) -> None:
        """Notes that the agent is alive."""

    def propose(self, agent_id: int, count: int | None) -> Proposal | None:
        """Gives the agent the sweep's next point, which no other gets; None when all `count` were given away."""

    def close(self) -> None:
        """Ends all work; what was acknowledged stays."""


class Artifacts(Protocol):
    """Artifacts: collections of versions, their manifests, and the bytes that these name."""

    @property
    def deletions(self) -> int:
        """How often something was deleted since the store was opened: there may be bytes to free."""

    def create(self, draft: Draft) -> Artifact:
        """A version that waits for its files, its collection and project made on first use.

        The one that is there already is returned instead: under the same client id, or, when the draft allows it,
        a committed one of the collection with the same digest; the latter gets the aliases. Refused with 400 when
        the collection is of another type.
        """

    def get(self, artifact_id: int) -> Artifact:
        """The version. Refused with 404 when there is none."""

    def by_client(self, client_id: str) -> Artifact | None:
        """The version to which a client gave that id."""

    def find(self, series: Collection, alias: str) -> Artifact | None:
        """The committed version that goes by an alias, its number (`v3`) or its digest."""

    def versions(self, series: Collection) -> list[Artifact]:
        """The committed versions, newest first."""

    def logged(self, run_id: int) -> list[Artifact]:
        """The committed versions that a run brought."""

    def used(self, run_id: int) -> list[Artifact]:
        """The versions that a run used."""

    def users(self, artifact_id: int) -> list[Run]:
        """The runs that used a version."""

    def maker(self, artifact: Artifact) -> Run | None:
        """The run that brought the version."""

    def use(self, run_id: int, artifact_id: int) -> None:
        """Notes that a run used a version."""

    def commit(self, artifact_id: int, entries: list[Entry]) -> Artifact:
        """Gives the version its number and aliases, and shows it; a second time changes nothing.

        Refused with 400 when the bytes of an entry have not arrived, with 409 when the version was deleted meanwhile.
        """

    def edit(self, artifact_id: int, description: str | None, metadata: str | None, ttl: int | None = None) -> None:
        """Changes what is said of a version; None leaves alone."""

    def set_aliases(self, artifact: Artifact, add: list[str], remove: list[str], series: int | None = None) -> None:
        """Moves the aliases `add` to the version and takes `remove` from it: in its own collection, or in `series`."""

    def collection_of(self, collection_id: int) -> Collection:
        """The collection of that number."""

    def members(self, series: Collection) -> list[Membership]:
        """The versions in a collection, newest first."""

    def member(self, series: Collection, alias: str) -> Membership | None:
        """The version in a collection that goes by an alias, its number there (`v3`) or its digest."""

    def memberships(self, artifact_id: int) -> list[Membership]:
        """All collections that a version belongs to, its own first."""

    def link(self, artifact_id: int, entity: str, project: str, name: str, aliases: list[str]) -> Membership:
        """Puts a version into a portfolio, which is made on first use; doing it again only gives the aliases.

        Refused with 400 when the collection of that name is no portfolio or of another type.
        """

    def unlink(self, artifact_id: int, collection_id: int) -> None:
        """Takes a version out of a portfolio; the version stays."""

    def delete(self, artifact_id: int, with_aliases: bool) -> Artifact:
        """Hides a version for good. Refused with 409 for one that has an alias, unless `with_aliases`."""

    def edit_collection(
        self, collection_id: int, name: str | None = None, description: str | None = None, kind: str | None = None
    ) -> Collection:
        """Changes what is said of a collection; None leaves alone. Refused with 409 for a name that is in use."""

    def delete_collection(self, collection_id: int) -> Collection:
        """Removes a collection with its versions; of a portfolio only the links."""

    def tag(self, artifact_id: int, add: list[str], remove: list[str]) -> None:
        """Changes the tags of a version."""

    def tag_collection(self, collection_id: int, add: list[str], remove: list[str]) -> None:
        """Changes the tags of a collection."""

    def collections(self, project_id: int) -> list[Collection]:
        """The collections of a project that have a committed version, by name."""

    def collection(self, project_id: int, name: str) -> Collection | None:
        """The collection of that name."""

    def make_manifest(self, artifact_id: int, digest: str, kind: str = "FULL", base_id: int | None = None) -> Manifest:
        """A manifest whose bytes are still to come; `INCREMENTAL` and `PATCH` ones add to that of `base_id`."""

    def manifest(self, manifest_id: int) -> Manifest | None:
        """The manifest of that number."""

    def current_manifest(self, artifact_id: int) -> Manifest | None:
        """The artifact's newest manifest whose bytes came."""

    def manifests(self, artifact_id: int) -> list[Manifest]:
        """The artifact's manifests whose bytes came, oldest first."""

    def put_manifest(self, manifest_id: int, blob: Blob) -> str | None:
        """The bytes of a manifest came; returns the name of the blob that they replace."""

    def content(self, project_id: int, md5: str) -> Content | None:
        """The bytes with that MD5 (hexadecimal), if some version of the project brought them."""

    def put_content(self, project_id: int, blob: Blob, artifact_id: int) -> str | None:
        """Keeps the bytes; returns the name of a blob that is not needed (they were there already)."""

    def rely_on(self, project_id: int, digests: list[str], artifact_id: int) -> dict[str, Content]:
        """Those of the bytes that are here, by MD5 (hexadecimal); they stay as long as that version, at least."""

    def abandon(self, before: float) -> None:
        """Deletes the versions that were begun before then and never committed."""

    def drop_manifests(self) -> list[str]:
        """Forgets the manifests of deleted versions; returns the names of their blobs."""

    def strays(self) -> list[Stray]:
        """Contents that deleted versions left, by project."""

    def settle(self, stray: Stray, homes: dict[str, int]) -> list[str]:
        """Gives contents a new home (version by MD5) and forgets the rest of them; returns the blobs of those.

        Nothing happens when a version of the project was committed since `stray` was read: it may need them.
        """


class Uploads(Protocol):
    """Bytes of artifacts that come in parts. Blobs that a method returns are no longer named by anything."""

    def begin(self, artifact_id: int, md5: str, parts: tuple[str, ...], expires_at: float) -> tuple[Upload, list[str]]:
        """The upload of those bytes for that version, and blobs to remove.

        One that is under way with the same parts goes on, with what it received; one with other parts ends.
        """

    def get(self, upload_id: int) -> Upload | None:
        """The upload of that number, or None when there is none, or no longer."""

    def put_part(self, upload_id: int, number: int, blob: Blob) -> str | None:
        """Keeps a part; returns the name of a blob that is not needed (the part was there already).

        Refused with 404 when the upload is over.
        """

    def finish(self, upload: Upload, project_id: int, blob: Blob) -> list[str]:
        """Keeps the whole as the project's bytes and ends the upload, both at once; returns blobs to remove."""

    def end(self, upload_id: int) -> list[str]:
        """Ends the upload without its bytes; returns blobs to remove."""

    def expire(self) -> list[str]:
        """Ends all uploads whose time is over; returns blobs to remove."""


class Blobs(Protocol):
    """The bytes of files, each under a name that the store alone chooses."""

    async def receive(
        self, chunks: AsyncIterator[bytes], accept: Callable[[Blob], None], keep: Callable[[Blob], str | None]
    ) -> Blob:
        """Takes in a body and has it kept; it leaves nothing behind when it raises.

        `accept` sees size and MD5 before the blob exists, and refuses it by raising. `keep` gets the blob when it is
        whole and durable, gives its name to something, and returns the name of a blob that is needed no longer: the
        one that was there before, or this one. Both are called in a thread of their own.
        """

    def keep(self, data: bytes) -> Blob:
        """Takes in bytes that the depot itself made; they are durable when this returns."""

    def join(self, names: list[str], accept: Callable[[Blob], None]) -> Blob:
        """A new blob of the bytes of several, in their order, durable when this returns. Its parts stay."""

    def path(self, name: str) -> Path:
        """Where the blob's bytes can be read."""

    def remove(self, name: str) -> None:
        """Removes a blob that nothing names any more, soon: who knew its name may still open it."""

    def purge(self) -> None:
        """Removes those of the removed blobs whose time has come."""

    def destroy(self, name: str) -> None:
        """Removes a blob now; one that is gone already is fine."""

    def names(self, start: str) -> set[str]:
        """The blobs whose names start with that hexadecimal digit."""

    def clear_incoming(self) -> None:
        """Removes what uploads left that a crash ended. Only before the first upload."""


Clock = Callable[[], float]
