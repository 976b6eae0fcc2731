"""What people type to find runs, as filters of run lists.

A condition is `KEY OPERATOR VALUE`: `config.lr > 0.01`, `state = finished`, `summary.loss <= 0.2`, `group ~ night`.
A KEY that is none of a run's own fields is looked for in the config and in the summary. `~` finds a part of a text.
"""

from __future__ import annotations

import json
import re
from typing import Any

from backhaul.depot.graphql.filters import Filters
from backhaul.depot.refusal import Refused

FIELDS = {
    "display_name": "Name",
    "state": "State",
    "created_at": "Created",
    "summary_metrics._runtime": "Duration",
    "summary_metrics._step": "Last step",
    "name": "Run id",
    "group": "Group",
    "job_type": "Job type",
    "username": "User",
    "host": "Host",
    "tags": "Tags",
    "notes": "Notes",
    "sweep": "Sweep",
    "heartbeat_at": "Last heartbeat",
}
"""A run's own fields, with their headings."""

_CONDITION = re.compile(r"\s*(?P<key>[^\s=!<>~][^=!<>~]*?)\s*(?P<operator>!=|>=|<=|!~|=|>|<|~)=?\s*(?P<value>.*?)\s*")
_OPERATORS = {"=": "$eq", "!=": "$ne", ">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte", "~": "$regex"}
_SEARCHED = ("display_name", "name", "group", "job_type", "notes")


def field_of(key: str) -> str:
    """The field as filters, orders and columns name it: `summary.loss` is `summary_metrics.loss`."""
    head, dot, rest = key.partition(".")
    return f"summary_metrics.{rest}" if dot and head in ("summary", "summaryMetrics") else key


def label_of(field: str) -> str:
    """The field as people name it."""
    head, dot, rest = field.partition(".")
    return FIELDS.get(field) or (rest if dot and head in ("config", "summary_metrics") else field)


def kind_of(field: str) -> str:
    """Where the field stands: in the `summary`, in the `config`, or with the `run` itself."""
    head = field.partition(".")[0]
    return "run" if field in FIELDS else {"summary_metrics": "summary", "config": "config"}.get(head, "run")


def having_text(text: str) -> Filters:
    """Runs whose name, id, group, job type or notes have that text in them, or that have it for a tag."""
    if not text:
        return {}
    found: list[Filters] = [{field: {"$regex": _containing(text)}} for field in _SEARCHED]
    return {"$or": [*found, {"tags": {"$in": [text]}}]}


def parse(text: str) -> Filters:
    """The filter for one condition. Refused with 400 when it is none."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise Refused(f"{text!r} is no condition; write for example: config.lr > 0.01")
    comparison = _comparison(found["operator"], found["value"])
    return {"$or": [{field: comparison} for field in _candidates(found["key"])]}


def _comparison(operator: str, text: str) -> Filters:
    if operator == "~":
        return {"$regex": _containing(text)}
    if operator == "!~":
        return {"$not": {"$regex": _containing(text)}}
    return {_OPERATORS[operator]: _value(text)}


def _candidates(key: str) -> list[str]:
    known = "." in key and key.partition(".")[0] in ("config", "summary", "summary_metrics", "summaryMetrics")
    return [field_of(key)] if known or key in FIELDS else [f"config.{key}", f"summary_metrics.{key}"]


def _value(text: str) -> Any:
    """A number, `true`, `false`, `null` or a quoted text; anything else is the text as it stands."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, (dict, list)) else value


def _containing(text: str) -> str:
    """A pattern for the text in either case; of a text in ASCII only its letters have one, as a store can tell, too."""
    return f"(?{'ai' if text.isascii() else 'i'}){re.escape(text)}"
