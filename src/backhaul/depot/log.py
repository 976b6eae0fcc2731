"""The depot's log: one JSON object a line, with the same members each time, for programs and for people.

`{"time": ISO 8601 UTC, "level": …, "event": what happened, …facts}`. A refusal is the event `refused`, with `status`,
`reason`, `method`, `path` and, where they are known, `user` and `operation`. No line holds a key or a signed query.
"""

from __future__ import annotations

import json
import logging
import sys
import time

from starlette.requests import Request

_LOG = logging.getLogger("backhaul.depot")
_LONGEST_REASON = 1000  # characters; a reason may quote what the client sent


def to_stderr(logger: logging.Logger = _LOG) -> None:
    """Sends a log, the depot's own by default, to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def refused(request: Request, status: int, reason: str, operation: str | None = None) -> None:
    """Notes that a request was not carried out. What the depot could not do is a warning, all else information."""
    user = getattr(request.state, "user", None)
    facts = {
        "status": status,
        "reason": reason[:_LONGEST_REASON],
        "method": request.method,
        "path": request.url.path,
        "user": user.name if user else None,
        "operation": operation,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    _LOG.log(logging.WARNING if status >= 500 else logging.INFO, "refused", extra={"facts": known})


class _Lines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {"time": f"{moment}.{int(record.msecs):03}Z", "level": record.levelname.lower()}
        line |= {"event": record.getMessage(), **getattr(record, "facts", {})}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
