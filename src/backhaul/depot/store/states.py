"""Which state a run is in after a `file_stream` request."""

from __future__ import annotations

from backhaul.depot.model import Delivery

_ENDED = frozenset({"finished", "failed", "preempted"})


def after(before: str, delivery: Delivery, grows: bool) -> str:
    """The state after `delivery`; `grows` says whether it brings lines beyond those that are there.

    A run that is about to be preempted stays so, whatever it still sends: it says so once, and its machine goes away
    in the middle. When it ends with an error, it was preempted. A run that has ended lives again with a sign of life,
    but not by lines that are there already: those are an earlier request, which comes late or once more.
    """
    if delivery.complete and not delivery.exit_code:
        return "finished"
    if delivery.complete:
        return "preempted" if before in ("preempting", "preempted") else "failed"
    if delivery.preempting or before == "preempting":
        return "preempting"
    late = before in _ENDED and bool(delivery.batches) and not grows
    return before if late else "running"
