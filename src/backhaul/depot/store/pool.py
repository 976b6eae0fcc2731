"""Connections to PostgreSQL, each for one transaction at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from backhaul.depot.refusal import Refused
from backhaul.depot.store import nuls

Raw = psycopg.Connection[tuple[Any, ...]]

MOST = 20
"""For each process: more would wait for each other in the server. It allows 100 in all, unless told otherwise."""

_PATIENCE = 30.0  # seconds until a connection is free
_ENDING_WITHIN = 10.0  # seconds for what is under way when the depot stops
_PREPARED = 300  # statements that the server keeps ready, for each connection

# A server that is there no more is noticed in half a minute, not in the two hours of the system; seconds, milliseconds.
_LIMITS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}

_OURS: dict[str, Any] = {"client_encoding": "UTF8"}

# An answer of 200 means durable, whatever the server's own default. Locks of a process that was cut off from the server
# in the middle of a transaction end after a minute, and nobody waits longer for a lock than a client for an answer.
_SETTINGS = b"""
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
SET lock_timeout = '20s';
SET idle_in_transaction_session_timeout = '60s';
SET TIME ZONE 'UTC';
"""


class Pool:
    """At most so many connections, made when they are needed, and kept. Safe to use from any thread."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._idle: list[Raw] = []
        self._lock = threading.Lock()
        self._free = threading.Semaphore(MOST)
        self._closed = False

    @contextmanager
    def begun(self, begin: bytes) -> Iterator[Raw]:
        """A connection on which the statement `begin` was carried out.

        Raises psycopg's errors when the server cannot be reached; refused with 503 when none gets free, or after
        `close`.
        """
        if not self._free.acquire(timeout=_PATIENCE):
            raise Refused("the depot has too much to do; try again", 503)
        try:
            raw = self._begin(begin)
            try:
                yield raw
            finally:
                self._put_back(raw)
        finally:
            self._free.release()

    def close(self) -> None:
        """Waits a while for the transactions that are under way, then closes all connections. Nothing begins after."""
        if self._closed:
            return
        self._closed = True
        until = time.monotonic() + _ENDING_WITHIN
        ended = [self._free.acquire(timeout=max(0.0, until - time.monotonic())) for _ in range(MOST)]
        with self._lock:
            idle, self._idle = self._idle, []
        for raw in idle:
            raw.close()
        for _ in filter(None, ended):  # whoever waits is told
            self._free.release()

    def _begin(self, begin: bytes) -> Raw:
        """On a connection that still holds: a server that was started again has cut all those before."""
        if self._closed:
            raise Refused("the depot is stopping", 503)
        while raw := self._kept():
            try:
                raw.execute(begin)
            except psycopg.OperationalError:
                raw.close()
            else:
                return raw
        raw = self._connect()
        try:
            raw.execute(begin)
        except BaseException:
            raw.close()
            raise
        return raw

    def _kept(self) -> Raw | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _put_back(self, raw: Raw) -> None:
        if self._closed or raw.closed or raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            raw.close()
            return
        with self._lock:
            self._idle.append(raw)

    def _connect(self) -> Raw:
        raw = psycopg.connect(**(_LIMITS | conninfo_to_dict(self._address) | _OURS), autocommit=True)
        raw.prepared_max = _PREPARED
        nuls.pass_through(raw)
        raw.execute(_SETTINGS)
        return raw
