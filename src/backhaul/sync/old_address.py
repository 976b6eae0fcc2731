"""An upload address that a store refuses may only have grown old: a new one is asked for before that is believed."""

from __future__ import annotations

from backhaul.errors import Forbidden, ServerUnavailable


def outdated(refusal: Forbidden) -> ServerUnavailable:
    """The refusal of an address that was asked for some time ago, as a failure that is tried again with a new one.

    The big stores say of an address that it has expired; others, and proxies, say 403 and no more.
    """
    return ServerUnavailable(refusal.message)
