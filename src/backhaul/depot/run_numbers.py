"""Which run of the store a request is about, by the names in its path: the store is asked once."""

from __future__ import annotations

from backhaul.depot.memory import Memory
from backhaul.depot.model import User
from backhaul.depot.refusal import not_found
from backhaul.depot.store import Store

_REMEMBERED = 10_000

Place = tuple[str, str, str]
"""Entity, project and id of a run."""


class RunNumbers:
    """Numbers of runs by their places. A number is its run's for ever: the id of a deleted run is not given again.

    So whoever is told the number of a run that was deleted meanwhile is told by the store that it is gone.
    """

    def __init__(self) -> None:
        self._numbers: Memory[Place, int] = Memory(_REMEMBERED)

    def remembered(self, place: Place, user: User) -> int | None:
        """The number, if it is known without asking, and the user sees the run."""
        return self._numbers.remembered(place) if user.sees(place[0]) else None

    def get(self, place: Place, store: Store) -> int:
        """The number of a run that is in the store, as its user sees it. Refused with 404 when there is none."""
        run = store.run(*place)
        if run is None:
            raise not_found(f"run {'/'.join(place)}")
        return self._numbers.get(place, lambda: run.id)
