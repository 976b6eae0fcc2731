"""A run's artifacts on their way: created, filled, committed, each once; the server keeps equal content once."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from backhaul.errors import (
    BackhaulError,
    BadRequest,
    Forbidden,
    PayloadMissing,
    QuarantineError,
    RefusedError,
    RemoteConflict,
    UnexpectedAnswer,
)
from backhaul.runs.artifacts import CLIENT_REFERENCE, Artifact, Entry, artifact_of, digest_base64
from backhaul.runs.content_places import ContentPlaces
from backhaul.runs.payloads import Payload
from backhaul.sync.content_sender import Content, ContentSender
from backhaul.sync.old_address import outdated
from backhaul.sync.outcome import Outcome, Quarantined
from backhaul.sync.policy import ArtifactPolicy
from backhaul.sync.progress import artifact_entry
from backhaul.sync.retry import Retrier
from backhaul.sync.together import together
from backhaul.wire.artifacts import ArtifactFileTarget
from backhaul.wire.message import FileSlice
from backhaul.wire.remote import RunAddress
from backhaul.wire.server import Server

_FILES_AT_ONCE = 500
_UPLOADS_AT_ONCE = 8
# After so many tries without one more part, the address may be to blame.
_FRUITLESS_TRIES = 2


@dataclass(slots=True)
class ArtifactDelivery:
    """Sends the artifacts of one run, in the order in which they were logged.

    One that cannot be sent is quarantined with its reason; the others go on. Artifacts go to the same entity and
    project as their run (`address`), whatever their records say. One with a file of more than `max_file_size` bytes is
    left out: without that file it would be another one. For the same reason one that is logged in parts is finished
    only when they have arrived.
    """

    address: RunAddress
    server: Server
    places: ContentPlaces
    retrier: Retrier
    outcome: Outcome
    policy: ArtifactPolicy
    sender: ContentSender
    max_file_size: int | None = None
    # Name and distributed id of those that lack a part.
    _lacking: set[tuple[str, str]] = field(default_factory=set, init=False)

    async def deliver(self, records: Sequence[Any]) -> dict[str, str]:
        """Send what is wanted and the ledger does not know as committed.

        Returns server id → `Artifact.provable_digest` of each that must be there.
        """
        there: dict[str, str] = {}
        left_out = self.policy.left_out(records)
        ledger, key = self.sender.ledger, self.sender.key
        for number, record in enumerate(records):
            known = ledger.progress(key).artifacts.get(str(number))
            if known is None and number in left_out:
                self.outcome.left_out.append(f"artifact {record.name}: {left_out[number]}")
                continue
            if known is None:
                known = await self._try_one(record)
                if known is None:
                    continue
                await asyncio.to_thread(ledger.record, key, artifact_entry(number, *known))
            there[known[0]] = known[1]
        return there

    async def _try_one(self, record: Any) -> tuple[str, str] | None:
        whole = (record.name, record.distributed_id)
        try:
            if record.finalize and whole in self._lacking:
                raise PayloadMissing(
                    f"A part of the artifact {record.name} was not delivered, so that it is not finished.",
                    next="What is to be done is told with that part; then run the same command again.",
                )
            artifact = await asyncio.to_thread(artifact_of, record, self.places.whereabouts)
            if self.max_file_size is not None and (largest := artifact.largest_content) > self.max_file_size:
                reason = f"it has a file of {largest} bytes, larger than the {self.max_file_size} allowed"
                self.outcome.left_out.append(f"artifact {record.name}: {reason}")
                return None
            return await self._one(artifact)
        except (QuarantineError, RefusedError) as error:
            if isinstance(error, PayloadMissing) and (held := await self._held(record)) is not None:
                return held
            self._quarantine(record.name, error)
            if record.distributed_id:
                self._lacking.add(whole)
            return None

    async def _held(self, record: Any) -> tuple[str, str] | None:
        """The artifact of a record, if the server has it whole in this project: then its contents need not be here.

        Older `wandb sync` removed what it had uploaded.
        """
        door = self.server.artifacts
        try:
            server_id = await self.retrier.run(lambda: door.server_id(record.client_id)) if record.client_id else None
            remote = await self.retrier.run(lambda: door.read(server_id)) if server_id is not None else None
        except RefusedError:
            return None  # What is missing here is the reason to tell.
        if server_id is None or remote is None or (remote.state, remote.digest) != ("COMMITTED", record.digest):
            return None
        return (server_id, record.digest) if await self._project_elsewhere(server_id) is None else None

    async def _one(self, recorded: Artifact) -> tuple[str, str]:
        """Bring one artifact to the server; returns its id there and what its digest must be."""
        artifact, contents = await asyncio.to_thread(self.places.contents_of, recorded)
        door = self.server.artifacts
        created = await self.retrier.run(lambda: door.create(self._wanted(artifact)))
        if created.state == "COMMITTED":
            await self._check_place(artifact.name, created.id)
        else:
            if created.state not in ("PENDING", "DELETED"):
                raise UnexpectedAnswer(f"The artifact {artifact.name} is {created.state} on the server.")
            await self._fill(artifact, contents, created.id, artifact.base_id or created.latest_id)
        if artifact.use_after_commit:
            await self.retrier.run(lambda: door.use(self.address, created.id))
        return created.id, artifact.provable_digest

    async def _check_place(self, name: str, artifact_id: str) -> None:
        """The server has this content already: make sure that it is in the run's own project."""
        elsewhere = await self._project_elsewhere(artifact_id)
        if elsewhere is not None:
            here = f"{self.address.entity}/{self.address.project}"
            raise RemoteConflict(
                f"The server keeps the artifact {name} of this log in {elsewhere} and not in {here}.",
                next=f"Use it from {elsewhere}; a server that keeps one copy does not take it a second time.",
            )

    async def _project_elsewhere(self, artifact_id: str) -> str | None:
        """The `entity/project` of an artifact, if the server says that it is not the run's own."""
        try:
            project = await self.retrier.run(lambda: self.server.artifacts.project_of(artifact_id))
        except BadRequest:
            return None  # It does not know the question.
        return None if project == f"{self.address.entity}/{self.address.project}" else project

    def _wanted(self, artifact: Artifact) -> dict[str, Any]:
        wanted = {
            "entityName": self.address.entity,
            "projectName": self.address.project,
            "runName": None if artifact.user_created else self.address.run_id,
            "artifactTypeName": artifact.type,
            "artifactCollectionName": artifact.name,
            "artifactCollectionNames": None,
            "aliases": [{"artifactCollectionName": artifact.name, "alias": alias} for alias in artifact.aliases],
            "digest": artifact.digest,
            "digestAlgorithm": "MANIFEST_MD5",
            "description": artifact.description or None,
            "metadata": artifact.metadata or None,
            "clientID": artifact.client_id,
            "sequenceClientID": artifact.sequence_client_id,
            "enableDigestDeduplication": True,
            "distributedID": artifact.distributed_id or None,
            "historyStep": None,
            "labels": None,
            "storageRegion": None,
            "ttlDurationSeconds": artifact.ttl_seconds or None,
            "clientMutationId": None,
        }
        return wanted | ({"tags": [{"tagName": tag} for tag in artifact.tags]} if artifact.tags else {})

    async def _fill(self, artifact: Artifact, contents: dict[str, Payload], artifact_id: str, base: str | None) -> None:
        """Upload files and manifest of a pending artifact, and commit it."""
        kind, name = _manifest_kind(artifact)
        door = self.server.artifacts
        manifest_id, _ = await self.retrier.run(
            lambda: door.create_manifest(self.address, artifact_id, base, name, kind, "")
        )
        births = await self._upload(artifact, contents, artifact_id, manifest_id)
        entries = [replace(entry, birth_artifact_id=births.get(entry.path, "")) for entry in artifact.entries]
        manifest = replace(artifact, entries=tuple([await self._resolved(entry) for entry in entries])).manifest()
        digest = digest_base64(manifest)

        async def put_manifest() -> None:
            if kind == "FULL":
                _, target = await door.create_manifest(self.address, artifact_id, base, name, kind, digest)
            else:
                _, target = await door.update_manifest(manifest_id, base, name, digest)
            if target is not None:
                await self.server.put_file(target, manifest, digest)

        await self.retrier.run(put_manifest)
        if artifact.finalize:
            await self.retrier.run(lambda: door.commit(artifact_id))

    async def _resolved(self, entry: Entry) -> Entry:
        """References to artifacts of the same log name them by a client's id; the server's id must take its place."""
        if not entry.ref.startswith(CLIENT_REFERENCE):
            return entry
        client_id, _, path = entry.ref.removeprefix(CLIENT_REFERENCE).partition("/")
        server_id = await self.retrier.run(lambda: self.server.artifacts.server_id(client_id))
        if server_id is None:
            raise PayloadMissing(
                f"{entry.path} refers to an artifact that the server does not know ({client_id[:12]}…)."
            )
        return replace(entry, ref=f"wandb-artifact://{b64decode(server_id).hex()}/{path}")

    async def _upload(
        self, artifact: Artifact, contents: dict[str, Payload], artifact_id: str, manifest_id: str
    ) -> dict[str, str]:
        """Send the files that the server lacks; returns by path the artifact under which each is stored."""
        births: dict[str, str] = {}
        digests = {entry.path: entry.digest for entry in artifact.entries}
        wanted = [
            Content(path, digests[path], _slice(payload), artifact_id, manifest_id)
            for path, payload in contents.items()
        ]
        slots = asyncio.Semaphore(_UPLOADS_AT_ONCE)
        for start in range(0, len(wanted), _FILES_AT_ONCE):
            some = wanted[start : start + _FILES_AT_ONCE]
            specs = [await self.sender.spec(content) for content in some]
            targets = await self.retrier.run(partial(self.server.artifacts.create_files, specs))
            await together(
                self._put(content, spec, target, slots)
                for content, spec, target in zip(some, specs, targets, strict=True)
            )
            births |= {content.name: target.birth_artifact_id for content, target in zip(some, targets, strict=True)}
        return births

    async def _put(
        self, content: Content, spec: dict[str, Any], first: ArtifactFileTarget, slots: asyncio.Semaphore
    ) -> None:
        """Send one file; at each further try a new address is asked for, since the old one may have expired.

        Not so for a file in parts that gets on: with a new address most servers begin a new upload, without the parts
        that have arrived.
        """
        addresses = [(spec, first)]
        fruitless = 0

        async def attempt() -> None:
            nonlocal fruitless
            is_old = bool(addresses)
            if not addresses:
                wanted = await self.sender.spec(content, was_cut=True)
                addresses.append((wanted, (await self.server.artifacts.create_files([wanted]))[0]))
            wanted, where = addresses[-1]
            before = self.sender.parts_sent(content, where)
            try:
                await self.sender.send(content, wanted, where)
            except BackhaulError as error:
                fruitless = 0 if self.sender.parts_sent(content, where) > before else fruitless + 1
                if not where.parts or fruitless >= _FRUITLESS_TRIES:
                    addresses.clear()
                    fruitless = 0
                    if is_old and isinstance(error, Forbidden):
                        raise outdated(error) from error
                raise

        async with slots:
            await self.retrier.run(attempt)
        self.outcome.sent_bytes += content.whole.length

    def _quarantine(self, name: str, error: BackhaulError) -> None:
        self.outcome.quarantined.append(Quarantined(f"artifact {name}", error.message, error.next))


def _slice(content: Payload) -> FileSlice:
    assert content.path is not None
    return FileSlice(content.path, 0, content.path.stat().st_size)


def _manifest_kind(artifact: Artifact) -> tuple[str, str]:
    if artifact.incremental:
        return "INCREMENTAL", "wandb_manifest.incremental.json"
    if artifact.distributed_id:
        return "PATCH", "wandb_manifest.patch.json"
    return "FULL", "wandb_manifest.json"
