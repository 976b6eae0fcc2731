"""What `backhaul doctor --json` found, as tests ask for it."""

from __future__ import annotations

from typing import Any

from .command import Finished


def found_by(done: Finished) -> dict[str, dict[str, Any]]:
    """The findings by their codes; of several with one code the last."""
    return {finding["code"]: finding for finding in done.document["findings"]}


def steps_of(done: Finished) -> dict[str, str]:
    """What came back at each step of the way to the server."""
    return {step["step"]: step["detail"] for step in done.document["network"]}
