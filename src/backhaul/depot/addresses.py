"""Signed storage addresses: whoever holds one may do one thing with one file until it expires.

The official engine sends no credentials to upload addresses, so that the address itself must be the permission.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, urlencode

from backhaul.depot.refusal import Refused

LIFETIME = 24 * 3600.0
"""Seconds. A client asks for all addresses of a run first and may take hours until it uses the last one."""


@dataclass(frozen=True, slots=True)
class Target:
    """One file of one run."""

    entity: str
    project: str
    run: str
    name: str

    def path(self, root: str) -> str:
        """The percent-escaped path of the file below `root`."""
        escaped = (quote(part, safe="") for part in (self.entity, self.project, self.run))
        return f"{root}/{'/'.join(escaped)}/{quote(self.name, safe='/')}"

    @property
    def place(self) -> tuple[str, str, str]:
        """Entity, project and id of the run."""
        return self.entity, self.project, self.run

    @property
    def storage_path(self) -> str:
        """Where the file is PUT and got by signed addresses."""
        return self.path("/:storage")


@dataclass(frozen=True, slots=True)
class ContentTarget:
    """The bytes with an MD5 (hexadecimal) in a project; `artifact_id` is the version for which they come."""

    project_id: int
    artifact_id: int
    md5: str

    @property
    def storage_path(self) -> str:
        """Where the bytes are PUT and got by signed addresses."""
        return f"/wandb_artifacts/{self.project_id}/{self.artifact_id}/{self.md5}"


@dataclass(frozen=True, slots=True)
class ManifestTarget:
    """The list of an artifact's entries; for an upload with the version's number, and its MD5 where that was said."""

    manifest_id: int
    artifact_id: int | None = None
    md5: str | None = None

    @property
    def storage_path(self) -> str:
        """Where the list is PUT and got by signed addresses."""
        return f"/manifests/{self.manifest_id}/wandb_manifest.json"


@dataclass(frozen=True, slots=True)
class PartTarget:
    """One part of an upload, by its number from 1."""

    upload_id: int
    number: int

    @property
    def storage_path(self) -> str:
        """Where the part is PUT."""
        return f"/uploads/{self.upload_id}/{self.number}"


class Addressed(Protocol):
    """What a signed address may be for."""

    @property
    def storage_path(self) -> str:
        """The percent-escaped path, which also tells this thing from every other."""


class Signer:
    """Makes and checks signatures. The secret never leaves the depot; the clock comes in from outside."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock

    def address(self, base: str, method: str, target: Addressed) -> str:
        """An absolute address under `base` that allows `method` on the file for `LIFETIME` seconds."""
        expires = int(self._clock() + LIFETIME)
        query = {"expires": expires, "signature": self._signature(method, target, expires)}
        return f"{base.rstrip('/')}{target.storage_path}?{urlencode(query)}"

    def check(self, method: str, target: Addressed, expires: str, signature: str) -> None:
        """Returns only for an address of ours that is still good. Refused with 403 otherwise."""
        try:
            until = int(expires)
        except ValueError:
            raise Refused("this storage address is not signed by this depot", 403) from None
        expected = self._signature(method, target, until)
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            raise Refused("this storage address is not signed by this depot", 403)
        if self._clock() > until:
            raise Refused("this storage address has expired; ask for a new one", 403)

    def token(self, purpose: str, *facts: str) -> str:
        """A signature over anything else, kept apart from the others by its `purpose`."""
        text = json.dumps([purpose, *facts])
        return hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()

    def _signature(self, method: str, target: Addressed, expires: int) -> str:
        # Without the colon, which came later: addresses that were given before are good until they expire.
        return self.token("storage", method, target.storage_path.replace("/:", "/", 1), str(expires))
