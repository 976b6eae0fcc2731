"""What goes over the wire and what comes back: plain values, without a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class FileSlice:
    """`length` bytes of the file at `path` from byte `offset` on, streamed from disk in constant memory."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True)
class Request:
    """One HTTP request; `url` is absolute, `body` None means that there is none."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | FileSlice | None = None


@dataclass(frozen=True)
class Response:
    """One HTTP answer with its whole (bounded) body; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Transport(Protocol):
    """The one way to the network: a request goes in, an answer of any status comes out.

    A transport never tries again by itself. It raises only leaves of the error tree: `HostNotFound`,
    `ConnectionRefused`, `ConnectionLost`, `TimedOut`, `TlsFailure`, `ProxyRefused`; `UnexpectedAnswer` for what is no
    HTTP or has no bounds; `PayloadMissing` and `UnreadableFile` when the file of a body cannot be read.
    """

    async def send(self, request: Request) -> Response:
        """Return the answer to `request`, whatever its status is."""
        ...

    async def close(self) -> None:
        """Give back all connections."""
        ...
