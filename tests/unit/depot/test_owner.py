"""A prefix has one owner, also when several depots want it at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from backhaul.depot.store.s3.bucket import Bucket
from backhaul.depot.store.s3.owner import claim
from backhaul.depot.store.s3.place import S3Place
from backhaul.depot.store.unusable import PlaceRefused, PlaceUnreachable

from ...object_store import Answer, Asked, Door, refusal

_DEPOTS = [f"depot-{number}" for number in range(4)]


def _meet(others: threading.Barrier) -> None:
    others.wait(30)


def _nobody_waits(_seconds: float) -> None:
    raise AssertionError("there is nothing to wait for")


def _claimed_at_once(place: S3Place, wait: Callable[[float], None]) -> list[str]:
    """Who has the place after all of them wanted it; the others were refused."""

    def has_it(owner: str) -> bool:
        try:
            claim(Bucket(place), owner, wait)
        except PlaceRefused:
            return False
        return True

    with ThreadPoolExecutor(len(_DEPOTS)) as threads:
        return [owner for owner, has in zip(_DEPOTS, threads.map(has_it, _DEPOTS), strict=True) if has]


def _all_see_nothing(door: Door) -> None:
    """No answer to who asks whose the place is, before all have asked: the first look of each finds nothing."""
    met = threading.Barrier(len(_DEPOTS))
    looks = iter(range(len(_DEPOTS)))

    def fault(asked: Asked) -> Answer | None:
        if asked.method != "GET" or next(looks, None) is None:
            return None
        _meet(met)
        return refusal(404, "NoSuchKey")

    door.fault = fault


def test_of_depots_that_start_at_once_one_has_the_place(door: Door) -> None:
    """All look and find nothing; the store keeps what was written first, and nobody has to wait."""
    place = door.place()
    _all_see_nothing(door)
    (owner,) = _claimed_at_once(place, _nobody_waits)
    door.fault = None
    assert Bucket(place).get("owner")["Body"].read().decode() == owner
    claim(Bucket(place), owner, _nobody_waits)


@pytest.mark.parametrize("how", ["not heeded", "not known"])
def test_where_conditions_are_not_kept_the_last_to_write_has_the_place(door: Door, how: str) -> None:
    """Each waits until the others have written, then reads what stands there."""
    place = door.place()
    door.heeds_write_conditions = False
    _all_see_nothing(door)
    look = door.fault
    assert look is not None
    if how == "not known":
        door.fault = lambda asked: refusal(501, "NotImplemented") if "if-none-match" in asked.headers else look(asked)
    written = threading.Barrier(len(_DEPOTS))
    (owner,) = _claimed_at_once(place, lambda _seconds: _meet(written))
    door.fault = None
    assert Bucket(place).get("owner")["Body"].read().decode() == owner


def test_one_who_is_disturbed_looks_again(door: Door) -> None:
    """S3 says of two who write at once that both should look; where neither comes through the start is refused."""
    place = door.place()
    conflicts = [refusal(409, "ConditionalRequestConflict")] * 2
    waits: list[float] = []
    door.fault = lambda asked: conflicts.pop() if conflicts and "if-none-match" in asked.headers else None
    claim(Bucket(place), "one", waits.append)
    assert (len(waits), conflicts) == (2, [])
    other = door.place()
    door.fault = lambda asked: refusal(409, "ConditionalRequestConflict") if asked.method == "PUT" else None
    with pytest.raises(PlaceUnreachable, match="neither takes nor has an object 'owner'"):
        claim(Bucket(other), "one", lambda _seconds: None)
