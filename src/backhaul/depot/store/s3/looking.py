"""Which of many objects are there, at the least price."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from backhaul.depot.store.s3.bucket import Bucket, Found

_PAGE = 1000  # objects that the store lists at a time
_FEW = 20  # are asked for one by one
_PRICE = 16  # objects of a list cost as much as one that is asked for by name
_AT_ONCE = 16


def those_there(bucket: Bucket, start: str, names: Collection[str]) -> list[Found]:
    """Those of the objects, whose names all start so, that are there.

    Lists are in the order of names, and are read on from the first that is wanted as long as many that are wanted lie
    beside each other. The others are asked for by name, so that it does not matter how many lie there in all.
    """
    wanted = sorted(names)
    found: list[Found] = []
    while len(wanted) > _FEW:
        page = {each.name: each for each in islice(bucket.found(start, after=_just_before(wanted[0])), _PAGE)}
        last = max(page) if len(page) == _PAGE else wanted[-1]
        covered = [name for name in wanted if name <= last]
        found += [page[name] for name in covered if name in page]
        wanted = wanted[len(covered) :]
        if len(covered) * _PRICE < len(page):
            break
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return found + [each for each in threads.map(bucket.head, wanted) if each]


def _just_before(name: str) -> str:
    return f"{name[:-1]}{chr(ord(name[-1]) - 1)}~"
