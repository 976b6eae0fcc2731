"""A proxy of the kind that sites have: it opens TLS with certificates of its own, and refuses some hosts."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme


class OpeningProxy:
    """Takes CONNECT for the hosts in `leads_to`, each to a plain-HTTP address; answers 503 for any other host."""

    def __init__(
        self, leads_to: dict[str, tuple[str, int]], authority: trustme.CA, password: str | None = None
    ) -> None:
        self._leads_to, self._password = leads_to, password
        self._contexts = {host: _context(authority, host) for host in leads_to}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, IndexError):
            head = _head(connection)
            host = head.split()[1].rpartition(":")[0]
            if self._password is not None and self._password not in head:
                connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            elif host not in self._leads_to:
                connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            else:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self._open(connection, host)

    def _open(self, connection: socket.socket, host: str) -> None:
        with (
            self._contexts[host].wrap_socket(connection, server_side=True) as inner,
            socket.create_connection(self._leads_to[host]) as outer,
        ):
            back = threading.Thread(target=_carry, args=(outer, inner), daemon=True)
            back.start()
            _carry(inner, outer)
            back.join(10)


def _context(authority: trustme.CA, host: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


def _head(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(4096)
        if not part:
            break
        data += part
    return data.decode()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def bundle_of(authority: trustme.CA, folder: Path) -> str:
    """The authority's certificate as a file for SSL_CERT_FILE."""
    path = folder / "site.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)
