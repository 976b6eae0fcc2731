"""`backhaul watch` as a process, followed by what it logs: a test waits for an event, never for a time."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from .command import Backhaul

Start = Callable[..., "Watching"]


class Watching:
    """A watcher that runs. `events` is everything it has logged so far."""

    def __init__(self, backhaul: Backhaul, *arguments: object, prefix: tuple[str, ...] = ()) -> None:
        self.process = backhaul.start("watch", *arguments, "--log-json", prefix=prefix)
        self.events: list[dict[str, Any]] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def until(self, event: str, timeout: float = 120, **facts: Any) -> dict[str, Any]:
        """The next event of this name that has these facts."""
        while True:
            try:
                line = self._lines.get(timeout=timeout)
            except queue.Empty:
                raise AssertionError(f"no {event} {facts} within {timeout:g} s: {self.events}") from None
            assert line is not None, f"it has ended without {event} {facts}: {self.events}"
            assert line.startswith("{"), line
            document = json.loads(line)
            self.events.append(document)
            if document["event"] == event and all(document.get(name) == fact for name, fact in facts.items()):
                return dict(document)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 60) -> int:
        """Ask it to end; the exit code. What it logged until then is in `events`."""
        self.process.send_signal(number)
        return self._ended(timeout)

    def kill(self) -> None:
        """End it as the kernel does."""
        if self.process.poll() is None:
            self.process.kill()
        self._ended(60)

    def told(self, event: str) -> list[dict[str, Any]]:
        """Every event of this name so far."""
        return [document for document in self.events if document["event"] == event]

    def _ended(self, timeout: float) -> int:
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        while (line := self._lines.get(timeout=timeout)) is not None:
            assert line.startswith("{"), line
            self.events.append(json.loads(line))
        self._lines.put(None)
        return code

    def _read(self) -> None:
        process: subprocess.Popen[str] = self.process
        assert process.stderr is not None
        assert process.stdout is not None
        with process.stderr, process.stdout:
            for line in process.stderr:
                self._lines.put(line)
        self._lines.put(None)
