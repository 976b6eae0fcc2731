"""One file of an artifact on its way: whole while the line holds, in parts that are remembered once it was cut."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import dataclass, replace
from typing import Any

from backhaul.errors import NotFound, ServerUnavailable, UnexpectedAnswer
from backhaul.sync.ledger import Ledger
from backhaul.sync.parts import (
    PARTS_AFTER_A_CUT_FROM,
    PARTS_FROM,
    PartsSent,
    announced,
    part_entry,
    slices,
    whole_entry,
)
from backhaul.wire.artifacts import ArtifactFileTarget
from backhaul.wire.message import FileSlice
from backhaul.wire.server import Server


@dataclass(frozen=True, slots=True)
class Content:
    """A file of an artifact: its name there, its digest (base64 MD5), where it lies, and for which manifest."""

    name: str
    md5: str
    whole: FileSlice
    artifact_id: str
    manifest_id: str

    def spec(self, parts: list[dict[str, Any]] | None) -> dict[str, Any]:
        """The CreateArtifactFileSpecInput; `parts` is what is announced of each part, None: it goes whole."""
        return {
            "artifactID": self.artifact_id,
            "artifactManifestID": self.manifest_id,
            "name": self.name,
            "md5": self.md5,
            "mimetype": None,
            "uploadPartsInput": parts,
        }


@dataclass(slots=True)
class ContentSender:
    """Sends contents, and keeps in the ledger of `key` which parts have arrived."""

    server: Server
    ledger: Ledger
    key: str

    async def spec(self, content: Content, *, was_cut: bool = False) -> dict[str, Any]:
        """What to ask the destination for: an address for the whole, or one for each part."""
        size = content.whole.length
        begun = content.md5 in self.ledger.progress(self.key).parts
        in_parts = size >= PARTS_FROM or begun or (was_cut and size >= PARTS_AFTER_A_CUT_FROM)
        return content.spec(await asyncio.to_thread(announced, content.whole) if in_parts else None)

    def parts_sent(self, content: Content, where: ArtifactFileTarget) -> int:
        """How many parts of the upload that `where` names were acknowledged."""
        known = self.ledger.progress(self.key).parts.get(content.md5)
        return len(known.etags) if known is not None and known.upload == where.upload_id else 0

    async def send(self, content: Content, spec: dict[str, Any], where: ArtifactFileTarget) -> None:
        """Send what the destination asks for with `where`; nothing when it has the content already."""
        if where.parts:
            await self._send_parts(content, spec["uploadPartsInput"], where)
        elif where.target is not None:
            await self.server.put_file(where.target, content.whole, content.md5)

    async def _send_parts(self, content: Content, parts: list[dict[str, Any]], where: ArtifactFileTarget) -> None:
        known = self.ledger.progress(self.key).parts.get(content.md5, PartsSent(""))
        # An upload that the destination no longer knows is begun anew under another id: nothing of it is there.
        sent = known if known.upload == where.upload_id else PartsSent(where.upload_id)
        if len(where.parts) != len(parts):
            raise UnexpectedAnswer(
                f"{content.name} was announced in {len(parts)} parts, and the server gave {len(where.parts)} addresses"
            )
        for number, (target, body, part) in enumerate(zip(where.parts, slices(content.whole), parts, strict=True), 1):
            if number in sent.etags:
                continue
            md5 = b64encode(bytes.fromhex(part["hexMD5"])).decode()
            try:
                etag = await self.server.put_part(replace(target, name=content.name), body, md5)
            except NotFound as error:
                raise ServerUnavailable(f"The upload of {content.name} in parts is over; it is begun anew") from error
            sent = sent.after(where.upload_id, number, etag)
            await asyncio.to_thread(
                self.ledger.record, self.key, part_entry(content.md5, where.upload_id, number, etag)
            )
        etags = [sent.etags[number] for number in range(1, len(parts) + 1)]
        await self.server.artifacts.complete_parts(where.birth_artifact_id, where, etags)
        await asyncio.to_thread(self.ledger.record, self.key, whole_entry(content.md5))
