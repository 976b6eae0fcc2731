"""The depot as one object: open it where it keeps what it has, then run."""

from __future__ import annotations

import gc
import getpass
import hashlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette

from backhaul.depot.addresses import Signer
from backhaul.depot.app import create_app
from backhaul.depot.assembly import Assembly
from backhaul.depot.attempts import Attempts
from backhaul.depot.digester import Digester
from backhaul.depot.direct import DirectUploads
from backhaul.depot.doorkeeper import Doorkeeper
from backhaul.depot.graphql.context import Services
from backhaul.depot.history import HistoryReader
from backhaul.depot.manifests import Manifests
from backhaul.depot.noticer import Noticer
from backhaul.depot.pages.login import Tickets
from backhaul.depot.place import Place
from backhaul.depot.reach import Reach
from backhaul.depot.run_uploads import RunUploads
from backhaul.depot.store import Users
from backhaul.depot.sweep import Sweep

_IDLE_CONNECTION = 75  # seconds; longer than the 30 s between a run's heartbeats
_LAST_ANSWERS = 5  # seconds for requests under way when the depot is told to stop
_BACKLOG = 1024

OnReady = Callable[[str], None]


class Depot:
    """A W&B-compatible server over one place. Only one process may have a place open.

    `entity` is where runs go that name none; the name of the system's user by default. Files of more than
    `max_file_size` bytes are refused. A place is made with its API key at the first start. Raises OSError when it
    cannot be used, RuntimeError when it belongs to a newer depot or is in use by another one.
    """

    def __init__(self, place: Place, entity: str | None = None, max_file_size: int | None = None) -> None:
        self._entity = entity or default_entity()
        self._max_file_size = max_file_size
        with ExitStack() as undo:
            self._lock = place.lock()
            undo.callback(os.close, self._lock)
            self._blobs = place.open_blobs()
            self._secrets = place.secrets()
            self._blobs.belong_to(hashlib.sha256(b"owner" + self._secrets.signing).hexdigest())
            self._store = place.open_store()  # the last that may fail: it has a thread, which must be ended
            undo.pop_all()
        self._signer = Signer(self._secrets.signing)
        self._tickets = Tickets(self._signer, self._store.redeem)
        self._digester = Digester(self._store)
        self._manifests = Manifests(self._blobs)
        self._direct = self._direct_uploads(place)
        self._run_uploads = self._straight_files(place)
        self._noticer = Noticer(self._run_uploads) if self._run_uploads else None

    def _direct_uploads(self, place: Place) -> DirectUploads | None:
        arrivals = self._blobs.arrivals()
        return None if arrivals is None else DirectUploads(self._store, self._blobs, arrivals, self._hands_out(place))

    def _straight_files(self, place: Place) -> RunUploads | None:
        boxes = self._blobs.mailboxes()
        return None if boxes is None else RunUploads(self._store, self._blobs, boxes, self._hands_out(place), time.time)

    def _hands_out(self, place: Place) -> bool:
        """A file that is too large can be refused only by the depot: with a bound, all of them pass through it."""
        return place.blobs is not None and place.blobs.direct and self._max_file_size is None

    @staticmethod
    def key_of(place: Place) -> str:
        """The operator's API key, made when there is none yet; works while depots run over the place."""
        return place.secrets().api_key

    @property
    def api_key(self) -> str:
        """The key that clients show: 40 hexadecimal characters."""
        return self._secrets.api_key

    @property
    def entity(self) -> str:
        """Where runs go that name no entity."""
        return self._entity

    def sign_in_address(self, url: str) -> str:
        """An address that signs a browser in, once, and leads to the list of runs; good for an hour."""
        return f"{url.rstrip('/')}/?{urlencode({'key': self._tickets.make()})}"

    @property
    def users(self) -> Users:
        """Who is let in beside the operator."""
        return self._store.users

    @staticmethod
    @contextmanager
    def users_of(place: Place) -> Iterator[Users]:
        """The users of a place; works while depots run over it, which heed every change at once.

        Raises OSError when the place cannot be written, RuntimeError when it belongs to a newer depot.
        """
        store = place.open_store()
        try:
            yield store.users
        finally:
            store.close()

    def run(
        self, host: str = "127.0.0.1", port: int = 8765, on_ready: OnReady | None = None, reach: Reach | None = None
    ) -> None:
        """Serves until SIGTERM or SIGINT, then finishes what is under way, closes the store and returns.

        Port 0 takes a free one; `on_ready` hears the address once requests are answered. Raises OSError when the
        port is taken or the certificate cannot be read.
        """
        how = reach or Reach()
        sweep = Sweep(self._store, self._blobs, self._manifests, time.time, self._run_uploads)
        try:
            with _listening(host, port) as sock:
                sweep.start()
                try:
                    _Server(self._config(how), on_ready, _url(how.scheme, sock)).run(sockets=[sock])
                finally:
                    sweep.stop()
        finally:
            self.close()

    def close(self) -> None:
        """Closes the store; what was acknowledged stays."""
        self._digester.close()
        if self._noticer:
            self._noticer.close()
        self._store.close()
        os.close(self._lock)

    def app(self, public_url: str | None = None) -> Starlette:
        """The ASGI application, for a server of the caller's own. Addresses start with `public_url`, if it is given."""
        people = Doorkeeper(self._secrets, self._store.users, self._entity, Attempts())
        return create_app(self.services(public_url), people, self._tickets)

    def services(self, public_url: str | None = None) -> Services:
        """What the application works with."""
        return Services(
            self._store,
            self._blobs,
            HistoryReader(self._store, self._digester.note),
            self._digester,
            self._manifests,
            self._signer,
            Assembly(self._store.uploads, self._blobs, self._direct),
            self._direct,
            self._run_uploads,
            self._noticer,
            self._entity,
            time.time,
            public_url,
            self._max_file_size,
        )

    def _config(self, reach: Reach) -> uvicorn.Config:
        return uvicorn.Config(
            self.app(reach.public_url),
            ssl_certfile=reach.certificate,
            ssl_keyfile=reach.key,
            proxy_headers=reach.proxies is not None,
            forwarded_allow_ips=reach.proxies or [],
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_IDLE_CONNECTION,
            timeout_graceful_shutdown=_LAST_ANSWERS,
        )


class _Server(uvicorn.Server):
    """A server that says when it is ready, and returns on a signal instead of raising it again."""

    def __init__(self, config: uvicorn.Config, on_ready: OnReady | None, url: str) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is there by now stays for good: the garbage collector need not look through it again and again.
        gc.freeze()
        if self._on_ready and not self.should_exit:
            self._on_ready(self._url)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self.force_exit = self.should_exit  # a second signal does not wait for requests under way
            self.should_exit = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=_BACKLOG) as sock:
        # Connections inherit it. asyncio sets it only on sockets that name their protocol, which these do not: the end
        # of an answer would wait some 40 ms for the client to acknowledge its beginning.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock


def _url(scheme: str, sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def default_entity() -> str:
    """Where runs go that name no entity, unless the operator says otherwise: to the system's user.

    To `local` where the system knows none (a container's bare number).
    """
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        return "local"
    return "".join(character if character.isalnum() or character in "-_." else "-" for character in name) or "local"
