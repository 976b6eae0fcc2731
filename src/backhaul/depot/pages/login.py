"""How a browser shows who it is: a cookie, got by the API key or by an address that works once.

The cookie opens pages and files for reading; it never counts for anything that changes something.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable

from backhaul.depot.addresses import Signer
from backhaul.depot.keys import Secrets

COOKIE = "depot-session"
SESSION = 30 * 24 * 3600
"""Seconds that a browser stays signed in."""

_TICKET = 3600  # seconds that a sign-in address works


class Login:
    """Makes and checks tickets (for addresses) and sessions (for cookies), both signed and expiring."""

    def __init__(self, keys: Secrets, signer: Signer, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._signer = signer
        self._clock = clock
        self._used: dict[str, int] = {}
        self._lock = threading.Lock()

    def ticket(self) -> str:
        """A text that signs one browser in, once."""
        return self._signed("ticket", _TICKET)

    def redeem(self, ticket: str) -> bool:
        """Whether the ticket is good; after this it is used up."""
        if not self._good("ticket", ticket):
            return False
        with self._lock:
            now = self._clock()
            self._used = {text: until for text, until in self._used.items() if until > now}
            fresh = ticket not in self._used
            self._used[ticket] = int(ticket.partition(".")[0])
        return fresh

    def session(self) -> str:
        """A cookie's value."""
        return self._signed("session", SESSION)

    def knows(self, session: str | None) -> bool:
        """Whether the cookie's value is one of ours and still good."""
        return session is not None and self._good("session", session)

    def accepts_key(self, key: str) -> bool:
        """Whether `key` is the API key."""
        return self._keys.accepts_key(key.strip())

    def _signed(self, purpose: str, lifetime: int) -> str:
        expires, nonce = str(int(self._clock()) + lifetime), secrets.token_hex(8)
        return f"{expires}.{nonce}.{self._signature(purpose, expires, nonce)}"

    def _good(self, purpose: str, text: str) -> bool:
        expires, _, rest = text.partition(".")
        nonce, _, signature = rest.partition(".")
        expected = self._signature(purpose, expires, nonce)
        genuine = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))
        return genuine and self._clock() <= int(expires)

    def _signature(self, purpose: str, expires: str, nonce: str) -> str:
        """Bound to the API key: with a new key, old sessions end."""
        return self._signer.token(purpose, expires, nonce, self._keys.api_key)
