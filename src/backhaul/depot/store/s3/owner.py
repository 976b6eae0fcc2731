"""Whose a prefix is: that depot's which was first to use it. An object there says so.

A store that heeds `If-None-Match: *` keeps what was written first, whoever writes at the same time. Where it does not,
each who writes waits until the others are through as well, and reads what stands there: the last has it. That holds
unless a request is on its way for longer than the wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from backhaul.depot.store.s3.bucket import Bucket, Missing
from backhaul.depot.store.unusable import PlaceRefused, PlaceUnreachable

_NAME = "owner"  # no blob's name begins so
_SETTLED_AFTER = 5.0  # seconds
_BETWEEN = 0.2  # seconds
_TRIES = 10


def claim(bucket: Bucket, owner: str, wait: Callable[[float], None] = time.sleep) -> None:
    """Marks the place as that depot's. Raises PlaceRefused when it is another's: a sweep would remove all there."""
    found = _owner(bucket) or _marked(bucket, owner, wait)
    if found != owner:
        raise PlaceRefused(f"{bucket.place} is another depot's: give a prefix of its own")


def _marked(bucket: Bucket, owner: str, wait: Callable[[float], None]) -> str:
    """Whose it is, now that this depot has tried to have it."""
    for _ in range(_TRIES):
        if bucket.put_new(_NAME, owner.encode()) and bucket.put_new(_NAME, owner.encode()):
            wait(_SETTLED_AFTER)  # what is there already was written again: the store does not heed the condition
        if found := _owner(bucket):
            return found
        wait(_BETWEEN)  # somebody was about to write it, and did not
    raise PlaceUnreachable(f"{bucket.place} does not answer as it should: it neither takes nor has an object {_NAME!r}")


def _owner(bucket: Bucket) -> str | None:
    try:
        return str(bucket.get(_NAME)["Body"].read().decode())
    except Missing:
        return None
