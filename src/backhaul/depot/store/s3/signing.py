"""Presigned addresses: who has one may do one thing with one object."""

from __future__ import annotations

from typing import Any

from backhaul.depot.addresses import LIFETIME
from backhaul.depot.store.s3.bucket import client_of
from backhaul.depot.store.s3.place import S3Place


class AddressSigner:
    """Makes them for the endpoint that clients reach, which may be another one than the depot's own."""

    def __init__(self, place: S3Place) -> None:
        self._place = place
        self._client = client_of(place.as_clients_reach_it)

    def address(self, call: str, name: str, **fixed: Any) -> str:
        """An address that is good for `LIFETIME` seconds; what is `fixed` must be said with it, word for word."""
        where = {"Bucket": self._place.bucket, "Key": self._place.prefix + name}
        return str(self._client.generate_presigned_url(call, {**where, **fixed}, int(LIFETIME)))
