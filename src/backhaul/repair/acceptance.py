"""Which records the official client can replay, and which end its process.

`wandb sync` 0.31 stops with a panic, and with it all runs of the same command, at a record without a type, at a request
(100, 101: they were never meant to be in a log), at what 0.12 to 0.17 wrote as number 24, and at a TensorBoard record
(9) whose event files are there. Nothing that a server holds is lost without them: links and requests cannot be replayed
from a log, and TensorBoard's numbers are in the history as well.
"""

from __future__ import annotations

from backhaul.wandblog.fields import fields

_LEFT_OUT = {
    9: "TensorBoard record: its numbers are in the history, and `wandb sync` crashes on it",
    24: "artifact link: no client can replay it, and `wandb sync` crashes on it",
    100: "request: it does not belong into a log, and `wandb sync` crashes on it",
    101: "request: it does not belong into a log, and `wandb sync` crashes on it",
}
_EMPTY = "record without content: `wandb sync` crashes on it"
# Fields of the envelope beside the content: number, control, uuid, _info.
_ENVELOPE = frozenset({1, 16, 19, 200})


def reason_to_leave_out(data: bytes) -> str | None:
    """Why the record of these bytes is not carried into a repaired log; None for one that is."""
    content = [number for number, _ in fields(data) if number not in _ENVELOPE]
    if not content:
        return _EMPTY
    return next((_LEFT_OUT[number] for number in content if number in _LEFT_OUT), None)
