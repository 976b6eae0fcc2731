"""How a browser shows who it is: a cookie, got by an API key or by an address that works once.

The cookie opens pages and files for reading; it never counts for anything that changes something.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from collections.abc import Callable

from backhaul.depot.addresses import Signer
from backhaul.depot.doorkeeper import Doorkeeper
from backhaul.depot.model import Account, User

COOKIE = "depot-session"
SESSION = 30 * 24 * 3600
"""Seconds that a browser stays signed in."""

_TICKET = 3600  # seconds that a sign-in address works


class Tickets:
    """Texts that sign one browser in as the operator, once. `use` notes one, and says whether it was fresh."""

    def __init__(
        self, signer: Signer, use: Callable[[str, float], bool], clock: Callable[[], float] = time.time
    ) -> None:
        self._signer = signer
        self._use = use
        self._clock = clock

    def make(self) -> str:
        """A fresh ticket."""
        expires, nonce = str(int(self._clock()) + _TICKET), secrets.token_hex(8)
        return f"{expires}.{nonce}.{self._signature(expires, nonce)}"

    def redeem(self, ticket: str) -> bool:
        """Whether the ticket is good; after this it is used up."""
        expires, nonce, signature = _parts(ticket, 3)
        if not _same(signature, self._signature(expires, nonce)) or self._clock() > int(expires):
            return False
        return self._use(ticket, int(expires))

    def _signature(self, expires: str, nonce: str) -> str:
        return self._signer.token("ticket", expires, nonce)


class Sessions:
    """The values of cookies: signed, expiring, and bound to a user and their key."""

    def __init__(self, people: Doorkeeper, signer: Signer, clock: Callable[[], float] = time.time) -> None:
        self._people = people
        self._signer = signer
        self._clock = clock

    def make(self, account: Account) -> str:
        """A cookie's value for that user."""
        name = "" if account == self._people.operator else account.user.name
        expires, nonce = str(int(self._clock()) + SESSION), secrets.token_hex(8)
        written = base64.urlsafe_b64encode(name.encode()).decode()
        return f"{expires}.{nonce}.{written}.{self._signature(expires, nonce, name, account)}"

    def user(self, session: str | None) -> User | None:
        """Whose session it is; None for one that is not ours, too old, or of somebody who has another key now."""
        expires, nonce, written, signature = _parts(session or "", 4)
        try:
            name = base64.b64decode(written, b"-_", validate=True).decode()
        except (binascii.Error, ValueError):
            return None
        account = self._people.by_name(name)
        if account is None or not _same(signature, self._signature(expires, nonce, name, account)):
            return None
        return account.user if self._clock() <= int(expires) else None

    def _signature(self, expires: str, nonce: str, name: str, account: Account) -> str:
        return self._signer.token("session", expires, nonce, name, account.key_hash.hex())


def _parts(text: str, count: int) -> list[str]:
    """The parts of a signed text; empty ones, which nobody signs, when there are more or fewer."""
    parts = text.split(".")
    return parts if len(parts) == count else [""] * count


def _same(shown: str, expected: str) -> bool:
    return hmac.compare_digest(expected.encode(), shown.encode("utf-8", "replace"))
