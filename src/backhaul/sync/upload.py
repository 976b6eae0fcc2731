"""A run's files on their way: those on disk and those made from the log, each only if the destination lacks it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from backhaul.errors import (
    BackhaulError,
    PayloadMissing,
    QuarantineError,
    RefusedError,
    UnexpectedAnswer,
    UnreadableFile,
)
from backhaul.runs.inspect import Inspection
from backhaul.runs.payloads import Digest, Payload, recorded_payloads
from backhaul.runs.rows import Rows
from backhaul.sync.digests import Digests
from backhaul.sync.ledger import Ledger
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome, Quarantined
from backhaul.sync.progress import files_entry
from backhaul.sync.reporter import Reporter
from backhaul.sync.retry import Retrier
from backhaul.sync.together import together
from backhaul.wire.message import FileSlice
from backhaul.wire.remote import RemoteFile, RunAddress, UploadTarget
from backhaul.wire.server import Server

_NAMES_AT_ONCE = 200
# A file that is written to all the time would otherwise be sent for ever.
_MOST_VERSIONS = 4
_SUMMARY, _CONFIG, _METADATA, _OUTPUT = "wandb-summary.json", "config.yaml", "wandb-metadata.json", "output.log"
# Every program that sends a run makes these of its log, and each in its own words.
MADE_FROM_LOG = frozenset({_SUMMARY, _CONFIG, _METADATA, _OUTPUT})


@dataclass(slots=True)
class Uploader:
    """Sends the files of one run. A file that cannot be sent is quarantined with its reason; the others go on."""

    run: Inspection
    address: RunAddress
    server: Server
    options: SyncOptions
    reporter: Reporter
    retrier: Retrier
    outcome: Outcome
    digests: Digests
    _slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.options.uploads)

    async def upload(
        self, rows: Rows, console_text: IO[bytes], ledger: Ledger, key: str, *, made_from_log: bool = True
    ) -> dict[str, Digest]:
        """Send what the destination lacks; returns every file that it must now hold, with its digest.

        Without `made_from_log` only recorded files are sent: the others are a later fragment's, or not yet whole.
        """
        payloads = [
            payload
            for payload in self._wanted(rows, console_text)
            if made_from_log or payload.name not in MADE_FROM_LOG
        ]
        held = {file.name: file for file in await self._held()}
        there: dict[str, Digest] = {}
        for start in range(0, len(payloads), _NAMES_AT_ONCE):
            some = await self._digested(payloads[start : start + _NAMES_AT_ONCE])
            lacking = [
                (payload, digest)
                for payload, digest in some
                if (file := held.get(payload.name)) is None or (file.size, file.md5) != (digest.size, digest.md5)
            ]
            sent = await self._send(lacking)
            if sent:
                await asyncio.to_thread(ledger.record, key, files_entry(sent))
            refused = {payload.name for payload, _ in lacking} - sent.keys()
            there |= {payload.name: digest for payload, digest in some if payload.name not in refused} | sent
        self.outcome.files_local = len(payloads)
        return there

    async def _held(self) -> list[RemoteFile]:
        """The files that are there; a run that this sync made has none, which need not be asked."""
        if self.address.inserted:
            return []
        return await self.retrier.run(lambda: self.server.run_files(self.address))

    async def digested(self, rows: Rows, console_text: IO[bytes]) -> dict[str, Digest]:
        """Every file that belongs to the run, with its digest; nothing is sent."""
        found = await self._digested(list(self._wanted(rows, console_text)))
        return {payload.name: digest for payload, digest in found}

    def _wanted(self, rows: Rows, console_text: IO[bytes]) -> Iterator[Payload]:
        made = {payload.name: payload for payload in _made_from_log(rows, console_text)}
        yield from made.values()
        files = self.run.directory.files
        for found in recorded_payloads(files, rows.files, all_on_disk=rows.recorded_by_python_engine):
            if isinstance(found, PayloadMissing):
                self._quarantine("file", found)
            elif found.name not in made:
                yield found

    async def _digested(self, payloads: list[Payload]) -> list[tuple[Payload, Digest]]:
        digested = []
        for payload in payloads:
            try:
                digest = await asyncio.to_thread(self.digests.of, payload)
            except QuarantineError as error:
                self._quarantine(f"file {payload.name}", error)
                continue
            if reason := self.options.excludes(payload.name, digest.size):
                self.outcome.left_out.append(f"{payload.name}: {reason}")
            else:
                digested.append((payload, digest))
        return digested

    async def _send(self, lacking: list[tuple[Payload, Digest]]) -> dict[str, Digest]:
        if not lacking:
            return {}
        names = [payload.name for payload, _ in lacking]
        targets = {
            target.name: target
            for target in await self.retrier.run(lambda: self.server.create_run_files(self.address, names))
        }
        results = await together(self._put(payload, digest, targets.get(payload.name)) for payload, digest in lacking)
        return {payload.name: sent for (payload, _), sent in zip(lacking, results, strict=True) if sent is not None}

    async def _put(self, payload: Payload, digest: Digest, first: UploadTarget | None) -> Digest | None:
        """Send one file; the digest of what is there then, None when it is not.

        A used-up or expired address is asked for anew at each further try. A file that has changed meanwhile is sent
        as it is then: the destination compares what it received with that version's digest.
        """
        if first is None:
            self._quarantine(f"file {payload.name}", UnexpectedAnswer("the server gave no address to upload it to"))
            return None
        addresses: list[UploadTarget] = [first]
        versions = [digest]

        async def attempt() -> None:
            version = await asyncio.to_thread(self.digests.of, payload)
            if version != versions[-1]:
                versions.append(version)
            if len(versions) > _MOST_VERSIONS:
                raise UnreadableFile(
                    f"{payload.path} changes again and again while it is sent",
                    next="Wait until nothing writes to this file any more, then run the same command again.",
                )
            fresh = addresses or await self.server.create_run_files(self.address, [payload.name])
            target = fresh[0]
            addresses.clear()
            await self.server.put_file(target, _body(payload, version), version.md5)

        try:
            async with self._slots:
                await self.retrier.run(attempt)
        except (RefusedError, QuarantineError) as error:
            self._quarantine(f"file {payload.name}", error)
            return None
        self.outcome.sent_bytes += versions[-1].size
        self.reporter.uploaded(self.run, payload.name, versions[-1].size)
        return versions[-1]

    def _quarantine(self, what: str, error: BackhaulError) -> None:
        self.outcome.quarantined.append(Quarantined(what, error.message, error.next))


def _body(payload: Payload, version: Digest) -> bytes | FileSlice:
    return payload.content if payload.path is None else FileSlice(payload.path, 0, version.size)


def _made_from_log(rows: Rows, console_text: IO[bytes]) -> Iterator[Payload]:
    """The files that the official client makes at the end of a run; ours are not written into the run directory."""
    if (metadata := rows.environment.metadata_json()) is not None:
        yield Payload(_METADATA, content=metadata)
    if (summary := rows.summary_json()) is not None:
        yield Payload(_SUMMARY, content=summary.encode())
    yield Payload(_CONFIG, content=rows.config_yaml())
    console_text.flush()
    if console_text.tell():
        yield Payload(_OUTPUT, Path(console_text.name))
