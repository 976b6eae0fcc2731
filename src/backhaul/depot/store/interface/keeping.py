"""All that the depot keeps beside the bytes of files."""

from __future__ import annotations

from typing import Protocol

from backhaul.depot.model import Alert
from backhaul.depot.store.interface.artifacts import Uploads
from backhaul.depot.store.interface.awaited import AwaitedFiles
from backhaul.depot.store.interface.people import Users
from backhaul.depot.store.interface.runs import Store


class Keeping(Store, Protocol):
    """The store as the depot itself holds it: with what nobody reaches through their own view of it."""

    @property
    def uploads(self) -> Uploads:
        """The uploads of artifacts that come in parts: who has the address of a part was let do it."""

    @property
    def awaited(self) -> AwaitedFiles:
        """The files of runs that clients bring themselves: who has an address was let do it."""

    @property
    def users(self) -> Users:
        """Who is let in beside the operator."""

    def alerts(self, run_id: int) -> list[Alert]:
        """The alerts that the run raised, in their order."""

    def client_id(self, artifact_id: int) -> str | None:
        """The id that its client gave an artifact, by which references name it; None when it gave none."""

    def named_blobs(self, start: str) -> set[str]:
        """The blobs whose names start with that hexadecimal digit, and which are the content of something."""

    def redeem(self, ticket: str, expires_at: float) -> bool:
        """Uses up a ticket that is good until then; False when it was used before."""

    def close(self) -> None:
        """Ends all work; what was acknowledged stays."""
