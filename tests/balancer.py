"""A load balancer of the plainest kind: each connection goes to the next depot that takes it."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_PIECE = 1 << 16


class Balancer:
    """Passes on bytes between clients and depots, by turns, and knows nothing of what is said."""

    def __init__(self, *urls: str) -> None:
        self.served: dict[str, int] = dict.fromkeys(urls, 0)
        """Connections by the depot that took them."""
        self.taken = 0
        """Bytes that clients sent, in all."""
        self._turns = itertools.count()
        self._watches: list[tuple[int, Callable[[str], None]]] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._shut = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept_all, daemon=True).start()

    def after(self, count: int, then: Callable[[str], None]) -> None:
        """Once so many more bytes came from clients: tells the depot that gets them, before it has all of them."""
        with self._lock:
            self._watches.append((self.taken + count, then))

    def add(self, url: str) -> None:
        """Another depot takes its turn."""
        with self._lock:
            self.served[url] = 0

    def cut(self) -> None:
        """Ends all connections, and takes no more until `mend`."""
        with self._lock:
            self._shut = True
            ends, self._open = self._open, set()
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Goes on."""
        self._shut = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self.cut()

    def _accept_all(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client:
            found = None if self._shut else self._next()
            if found is None:
                return
            url, depot = found
            with depot:
                with self._lock:
                    self._open |= {client, depot}
                back = threading.Thread(target=_pump, args=(depot, client, lambda _piece: None), daemon=True)
                back.start()
                _pump(client, depot, lambda piece: self._count(piece, url))
                back.join()
                with self._lock:
                    self._open -= {client, depot}

    def _next(self) -> tuple[str, socket.socket] | None:
        with self._lock:
            urls = list(self.served)
        start = next(self._turns)
        for number in range(len(urls)):
            url = urls[(start + number) % len(urls)]
            with suppress(OSError):
                depot = socket.create_connection(("127.0.0.1", urlsplit(url).port or 0))
                with self._lock:
                    self.served[url] += 1
                return url, depot
        return None

    def _count(self, piece: bytes, url: str) -> None:
        with self._lock:
            self.taken += len(piece)
            due = [then for count, then in self._watches if count <= self.taken]
            self._watches = [each for each in self._watches if each[0] > self.taken]
        for then in due:
            then(url)


def _pump(source: socket.socket, target: socket.socket, look: Callable[[bytes], None]) -> None:
    """Passes on until one of them ends; then the other is told."""
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            look(piece)
            target.sendall(piece)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
