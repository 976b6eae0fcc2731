"""The interface between the depot and what it keeps its runs in.

Every method that changes something returns only when the change is durable, or gives a Future that is done then; what
raises changed nothing.
All methods may be called from any thread, and may wait for a disk or a network. Unknown ids raise `Refused` (404). What
fails for reasons of its own raises `Refused`, too: 507 when there is no room, 503 when it may work later.
"""

from __future__ import annotations

from collections.abc import Callable

from backhaul.depot.store.interface.arrivals import Arrivals
from backhaul.depot.store.interface.artifacts import Artifacts, Uploads
from backhaul.depot.store.interface.awaited import AwaitedFiles
from backhaul.depot.store.interface.blobs import BROUGHT_AFTER, SETTLED_AFTER, Accept, Blobs, Keep
from backhaul.depot.store.interface.keeping import Keeping
from backhaul.depot.store.interface.mailboxes import Mailboxes
from backhaul.depot.store.interface.people import Users
from backhaul.depot.store.interface.runs import Store
from backhaul.depot.store.interface.sweeps import Sweeps

__all__ = [
    "BROUGHT_AFTER",
    "SETTLED_AFTER",
    "Accept",
    "Arrivals",
    "Artifacts",
    "AwaitedFiles",
    "Blobs",
    "Clock",
    "Keep",
    "Keeping",
    "Mailboxes",
    "Store",
    "Sweeps",
    "Uploads",
    "Users",
]

Clock = Callable[[], float]
