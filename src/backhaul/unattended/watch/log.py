"""What the watcher says of its work: a line for each event, of JSON for programs, of words for people."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

from backhaul.errors import BackhaulError


@dataclass(slots=True)
class Log:
    """Writes to `stream`. A stream that is gone stops nothing: the queue has what matters."""

    as_json: bool
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.time

    def tell(self, event: str, error: BackhaulError | None = None, **facts: Any) -> None:
        """Write that `event` happened; `error` is told with its code, and makes it a warning."""
        document: dict[str, Any] = {
            "at": datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="milliseconds"),
            "level": "info" if error is None else "warning",
            "event": event,
            **{name: value for name, value in facts.items() if value is not None},
        }
        if error is not None:
            document["error"] = error.as_json()
        try:
            print(json.dumps(document, default=str) if self.as_json else _words(document), file=self.stream, flush=True)
        except OSError:
            return


def _words(document: dict[str, Any]) -> str:
    error = document.pop("error", None)
    at, _, event = document.pop("at"), document.pop("level"), document.pop("event")
    facts = "  ".join(f"{name}={value}" for name, value in document.items())
    reason = f"  {error['code']}: {error['message']}" if error else ""
    return f"{at[11:19]}  {event:<12} {facts}{reason}".rstrip()
