"""The ordered line files of which a run on a server consists."""

from __future__ import annotations

from enum import StrEnum


class Stream(StrEnum):
    """The run's ordered line files on the server, by their name on the wire."""

    HISTORY = "wandb-history.jsonl"
    EVENTS = "wandb-events.jsonl"
    OUTPUT = "output.log"
    SUMMARY = "wandb-summary.json"


NUMBERED = (Stream.HISTORY, Stream.EVENTS, Stream.OUTPUT)
"""Those in which each line has a number."""
