"""Where a user wants his runs to be, in his own words."""

from __future__ import annotations

from dataclasses import dataclass

OWN_DEPOT = "depot"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a user wants runs to be; what he does not say, the log and his settings do.

    `to` is a server's address, or `OWN_DEPOT` for his own on this machine. `timeout` is the longest time, in seconds,
    without a byte in either direction; `bwlimit` what may leave: bytes a second or a timetable, as the option has it.
    """

    to: str | None = None
    entity: str | None = None
    project: str | None = None
    run_id: str | None = None
    timeout: float = 60.0
    bwlimit: str | None = None
