"""Which state a run is in after a `file_stream` request."""

from __future__ import annotations

from backhaul.depot.model import Delivery

_ENDED = frozenset({"finished", "failed", "killed", "preempted"})


def after(before: str, delivery: Delivery, grows: bool, stop_requested: bool = False) -> str:
    """The state after `delivery`; `grows` says whether it brings lines beyond those that are there.

    A run that is about to be preempted stays so, whatever it still sends: it says so once, and its machine goes away
    in the middle. When it ends with an error, it was preempted; one that was asked to stop was killed. A run that has
    ended lives again when it brings new lines or is opened, but not by lines that are there already, and not by an
    empty sign of life: those are an earlier request, which comes late or once more.
    """
    if delivery.complete:
        return _end(before, delivery, stop_requested)
    if delivery.preempting or before == "preempting":
        return "preempting"
    return before if before in _ENDED and not grows else "running"


def _end(before: str, delivery: Delivery, stop_requested: bool) -> str:
    if not delivery.exit_code:
        return "finished"
    if delivery.preempting or before in ("preempting", "preempted"):
        return "preempted"
    return "killed" if stop_requested or before == "killed" else "failed"
