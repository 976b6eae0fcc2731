"""What a run brings beside its lines, on its way: files, artifacts, alerts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from backhaul.runs.content_places import content_places
from backhaul.runs.home import home
from backhaul.runs.payloads import Digest
from backhaul.runs.rows import Rows
from backhaul.sync.artifact_delivery import ArtifactDelivery
from backhaul.sync.console_text import ConsoleText
from backhaul.sync.content_sender import ContentSender
from backhaul.sync.failures import answer_or_failure
from backhaul.sync.ledger import Ledger
from backhaul.sync.outcome import Quarantined
from backhaul.sync.passage import Passage
from backhaul.sync.upload import Uploader
from backhaul.wire.remote import RunAddress, UploadTarget


@dataclass(slots=True)
class PayloadDelivery:
    """Sends, of one run, what the ledger and the destination do not have."""

    passage: Passage
    ledger: Ledger
    uploader: Uploader

    def prepare(self, rows: Rows, console_text: ConsoleText, *, made_from_log: bool) -> list[str]:
        """See `Uploader.prepare`."""
        return self.uploader.prepare(rows, console_text, made_from_log=made_from_log)

    async def send(
        self, address: RunAddress, rows: Rows, targets: Sequence[UploadTarget] | None
    ) -> tuple[dict[str, Digest], dict[str, str]]:
        """Send them; returns the files that must then be there, and the artifacts: server id → digest.

        `targets` are the places of the first files that were prepared, if they are known already.
        """
        files = await self.uploader.upload(address, targets, self.ledger, self.passage.key)
        artifacts = await self._send_artifacts(address, rows.artifacts)
        await self._send_alerts(address, rows.alerts)
        return files, artifacts

    async def _send_artifacts(self, address: RunAddress, records: Sequence[Any]) -> dict[str, str]:
        if not records:
            return {}
        passage, options = self.passage, self.passage.options
        sender = ArtifactDelivery(
            address,
            passage.server,
            content_places(os.environ, home(), passage.run.directory.files, options.roots),
            passage.retrier,
            passage.outcome,
            options.artifacts,
            ContentSender(passage.server, self.ledger, passage.key),
            options.max_file_size,
        )
        passage.outcome.artifacts_local = len(records)
        return await sender.deliver(records)

    async def _send_alerts(self, address: RunAddress, alerts: Sequence[Any]) -> None:
        """Each alert once, in order: it becomes somebody's mail. One that is refused waits, with those behind it.

        So does one at which the server fails each time: no message keeps the run from its end.
        """
        passage = self.passage
        told = self.ledger.progress(passage.key).alerts
        is_there = partial(passage.server.run_status, address.entity, address.project, address.run_id)
        for number, alert in enumerate(alerts[told:], start=told):
            level = alert.level or "INFO"
            send = partial(passage.server.send_alert, address, alert.title, alert.text, level, alert.wait_duration)
            error = await answer_or_failure(passage.retrier, send, is_there)
            if error is not None:
                waiting = (f"alert {each.title}" for each in alerts[number:])
                passage.outcome.quarantined += [Quarantined(what, error.message, error.next) for what in waiting]
                return
            await asyncio.to_thread(self.ledger.record, passage.key, {"what": "alerts", "count": number + 1})
