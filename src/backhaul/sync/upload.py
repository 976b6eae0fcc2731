"""A run's files on their way: those on disk and those made from the log, each only if the destination lacks it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backhaul.errors import (
    BackhaulError,
    BadRequest,
    Forbidden,
    PayloadMissing,
    QuarantineError,
    RefusedError,
    UnexpectedAnswer,
    UnreadableFile,
)
from backhaul.runs.payloads import (
    MADE_FROM_LOG,
    Digest,
    Payload,
    blocks_of,
    content_of,
    digest_of,
    recorded_payloads,
    saved_folders,
)
from backhaul.runs.rows import Rows
from backhaul.sync.console_text import ConsoleText
from backhaul.sync.digests import Digests
from backhaul.sync.ledger import Ledger
from backhaul.sync.old_address import outdated
from backhaul.sync.outcome import Quarantined
from backhaul.sync.passage import Passage
from backhaul.sync.progress import files_entry
from backhaul.sync.together import together
from backhaul.wire.message import FileSlice
from backhaul.wire.remote import RemoteFile, RunAddress, UploadTarget

_NAMES_AT_ONCE = 200
# Bytes of a file that is read whole before it is sent, and of all those that are kept from the look at them until then.
_SHORT, _MOST_KEPT = 16 << 10, 64 << 10
# A file that is written to all the time would otherwise be sent for ever.
_MOST_VERSIONS = 4
_NO_ADDRESS = "the server gave no address to upload it to"
_SUMMARY, _CONFIG, _METADATA, _OUTPUT = "wandb-summary.json", "config.yaml", "wandb-metadata.json", "output.log"

_Ready = tuple[Payload, Digest]


@dataclass(slots=True)
class Uploader:
    """Sends the files of one run. A file that cannot be sent is quarantined with its reason; the others go on.

    `held` are the files that the destination was seen to hold.
    """

    passage: Passage
    digests: Digests
    held: Sequence[RemoteFile] = ()
    _slots: asyncio.Semaphore = field(init=False)
    _payloads: list[Payload] = field(default_factory=list)
    _first: list[_Ready] = field(default_factory=list)
    # Short files as they were when their digests were taken, by name: what the first try sends.
    _kept: dict[str, bytes] = field(default_factory=dict)
    _room: int = _MOST_KEPT
    # Names that the destination does not take.
    _refused: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.passage.options.uploads)

    def prepare(self, rows: Rows, console_text: ConsoleText, *, made_from_log: bool = True) -> list[str]:
        """Find the files and look at the first of them; the names of those that the destination lacks.

        Without `made_from_log` only recorded files count: the others are a later fragment's, or not yet whole. It reads
        from the disk, so that it belongs in a thread.
        """
        wanted = self._wanted(rows, console_text)
        self._payloads = [payload for payload in wanted if made_from_log or payload.name not in MADE_FROM_LOG]
        self.passage.outcome.files_local = len(self._payloads)
        for name in saved_folders(self.passage.run.directory.files, rows.files):
            self.passage.outcome.notes.append(
                f"The run saved {name}, which is a folder; of it goes what was saved by name."
            )
        self._first = self._digested(self._payloads[:_NAMES_AT_ONCE])
        return [payload.name for payload, _ in self._lacking(self._first)]

    async def upload(
        self, address: RunAddress, targets: Sequence[UploadTarget] | None, ledger: Ledger, key: str
    ) -> dict[str, Digest]:
        """Send what the destination lacks; returns every file that it must now hold, with its digest.

        `targets` are the places of the first files, if they are known already.
        """
        there: dict[str, Digest] = {}
        for start in range(0, len(self._payloads), _NAMES_AT_ONCE):
            part = self._payloads[start : start + _NAMES_AT_ONCE]
            some = await asyncio.to_thread(self._digested, part) if start else self._first
            lacking = self._lacking(some)
            sent = await self._send(lacking, address, None if start else targets)
            if sent:
                await asyncio.to_thread(ledger.record, key, files_entry(sent))
            refused = {payload.name for payload, _ in lacking} - sent.keys()
            there |= {payload.name: digest for payload, digest in some if payload.name not in refused} | sent
        return there

    def _lacking(self, some: Iterable[_Ready]) -> list[_Ready]:
        held = {(file.name, file.size, file.md5) for file in self.held}
        return [(payload, digest) for payload, digest in some if (payload.name, digest.size, digest.md5) not in held]

    async def digested(self, rows: Rows, console_text: ConsoleText) -> dict[str, Digest]:
        """Every file that belongs to the run, with its digest; nothing is sent."""
        found = await asyncio.to_thread(lambda: self._digested(self._wanted(rows, console_text)))
        return {payload.name: digest for payload, digest in found}

    def _wanted(self, rows: Rows, console_text: ConsoleText) -> Iterator[Payload]:
        made = {payload.name: payload for payload in _made_from_log(rows, console_text)}
        yield from made.values()
        files = self.passage.run.directory.files
        on_disk, roots = rows.recorded_by_python_engine, self.passage.options.roots
        for found in recorded_payloads(files, rows.files, all_on_disk=on_disk, roots=roots):
            if isinstance(found, PayloadMissing):
                self._quarantine("file", found)
            elif found.name not in made:
                yield found

    def _digested(self, payloads: Iterable[Payload]) -> list[_Ready]:
        digested = []
        for payload in payloads:
            try:
                digest = self._look_at(payload)
            except QuarantineError as error:
                self._quarantine(f"file {payload.name}", error)
                continue
            if reason := self.passage.options.excludes(payload.name, digest.size):
                self.passage.outcome.left_out.append(f"{payload.name}: {reason}")
            else:
                digested.append((payload, digest))
        return digested

    def _look_at(self, payload: Payload) -> Digest:
        """The digest of a payload; the content of a short file stays in memory, so that it is read once."""
        if payload.path is None or not _is_short(payload.path, self._room):
            return self.digests.of(payload)
        content = content_of(payload)
        if len(content) <= self._room:  # it may have grown just now
            self._room -= len(content)
            self._kept[payload.name] = content
        return digest_of(Payload(payload.name, content=content))

    async def _send(
        self, lacking: list[_Ready], address: RunAddress, targets: Sequence[UploadTarget] | None
    ) -> dict[str, Digest]:
        if not lacking:
            return {}
        if targets is None:
            targets = await self._places([payload.name for payload, _ in lacking], address)
        place = {target.name: target for target in targets}
        accepted = [(payload, digest) for payload, digest in lacking if payload.name not in self._refused]
        results = await together(
            self._put(payload, digest, address, place.get(payload.name)) for payload, digest in accepted
        )
        return {payload.name: sent for (payload, _), sent in zip(accepted, results, strict=True) if sent is not None}

    async def _places(self, names: list[str], address: RunAddress) -> list[UploadTarget]:
        """Where files of these names go. A name that the server refuses does not keep the others from their places."""
        try:
            return await self.passage.retrier.run(lambda: self.passage.server.create_run_files(address, names))
        except (BadRequest, UnexpectedAnswer) as error:
            if len(names) == 1:
                self._quarantine(f"file {names[0]}", error)
                self._refused.add(names[0])
                return []
        middle = len(names) // 2
        return await self._places(names[:middle], address) + await self._places(names[middle:], address)

    async def _put(
        self, payload: Payload, digest: Digest, address: RunAddress, first: UploadTarget | None
    ) -> Digest | None:
        """Send one file; the digest of what is there then, None when it is not.

        A used-up or expired address is asked for anew at each further try. A file that has changed meanwhile is sent
        as it is then: the destination compares what it received with that version's digest.
        """
        if first is None:
            self._quarantine(f"file {payload.name}", UnexpectedAnswer(_NO_ADDRESS))
            return None
        addresses: list[UploadTarget] = [first]
        versions = [digest]

        async def attempt() -> None:
            version, body = await self._version(payload, digest)
            if version != versions[-1]:
                versions.append(version)
            if len(versions) > _MOST_VERSIONS:
                raise UnreadableFile(
                    f"{payload.path} changes again and again while it is sent",
                    next="Wait until nothing writes to this file any more, then run the same command again.",
                )
            is_old = bool(addresses)
            fresh = addresses or await self.passage.server.create_run_files(address, [payload.name])
            if not fresh:
                raise UnexpectedAnswer(_NO_ADDRESS)
            target = fresh[0]
            addresses.clear()
            try:
                await self.passage.server.put_file(target, body, version.md5)
            except Forbidden as error:
                if is_old:
                    raise outdated(error) from error
                raise

        try:
            async with self._slots:
                await self.passage.retrier.run(attempt)
        except (RefusedError, QuarantineError) as error:
            self._quarantine(f"file {payload.name}", error)
            return None
        passage, sent = self.passage, versions[-1]
        passage.outcome.sent_bytes += sent.size
        passage.reporter.uploaded(passage.run, payload.name, sent.size)
        return sent

    async def _version(self, payload: Payload, digest: Digest) -> tuple[Digest, bytes | FileSlice]:
        """A payload as it is now; `digest` is that of one which has its content in memory."""
        if payload.path is None:
            return digest, payload.content
        if (kept := self._kept.pop(payload.name, None)) is not None:
            self._room += len(kept)
            return digest, kept
        return await asyncio.to_thread(self._version_on_disk, payload, payload.path)

    def _version_on_disk(self, payload: Payload, path: Path) -> tuple[Digest, bytes | FileSlice]:
        version = self.digests.of(payload)
        if version.size <= _SHORT and len(content := next(blocks_of(payload), b"")) <= _SHORT:
            # Read in one go, so that it is one version, whatever becomes of the file while it is sent.
            return digest_of(Payload(payload.name, content=content)), content
        return version, FileSlice(path, 0, version.size)

    def _quarantine(self, what: str, error: BackhaulError) -> None:
        self.passage.outcome.quarantined.append(Quarantined(what, error.message, error.next))


def _is_short(path: Path, room: int) -> bool:
    try:
        return path.stat().st_size <= min(_SHORT, room)
    except OSError:
        return False  # who reads it says what is wrong


def _made_from_log(rows: Rows, console_text: ConsoleText) -> Iterator[Payload]:
    """The files that the official client makes at the end of a run; ours are not written into the run directory."""
    if (metadata := rows.environment.metadata_json()) is not None:
        yield Payload(_METADATA, content=metadata)
    if (summary := rows.summary_json()) is not None:
        yield Payload(_SUMMARY, content=summary.encode())
    yield Payload(_CONFIG, content=rows.config_yaml())
    if (output := console_text.payload(_OUTPUT)) is not None:
        yield output
