"""How others reach the depot: in the clear, by TLS, or through a proxy that speaks TLS for it."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Reach:
    """What stands between the depot and its clients.

    `certificate` and `key` are PEM files; a chain may follow the certificate, and the key may lie in its file.
    `public_url` is the address that clients use where it is not the one on which the depot listens. `proxies` are the
    IP addresses or networks, with commas between, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; nobody
    else's are. Raises ValueError for a `public_url` that is no bare http(s) address.
    """

    certificate: Path | None = None
    key: Path | None = None
    public_url: str | None = None
    proxies: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.public_url or "https://unsaid")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"{self.public_url!r} is no address such as https://depot.example.org")

    @property
    def scheme(self) -> str:
        """What the depot itself speaks."""
        return "https" if self.certificate else "http"

    def in_the_clear(self, host: str) -> bool:
        """Whether keys would cross a network readable by others, when the depot listens on `host`."""
        public = urlsplit(self.public_url or "").scheme == "https"
        return not (self.certificate or public or self.proxies or _loopback(host))


def _loopback(host: str) -> bool:
    """Whether only this machine can connect to the address; a name counts as what it stands for."""
    try:
        found = {ipaddress.ip_address(each[4][0]) for each in socket.getaddrinfo(host or "0.0.0.0", None)}
    except (OSError, ValueError):
        return False
    return all(address.is_loopback for address in found)
