"""What runs beside a depot: it is there again whatever has become of it."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from backhaul.relay import companion as module
from backhaul.relay.companion import companion


def test_what_could_not_be_started_is_started_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may have no memory left for a moment."""
    program, ran = tmp_path / "program", tmp_path / "ran"
    os.mkfifo(ran)
    told = threading.Event()
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    monkeypatch.setattr(module._LOG, "warning", lambda *_, **__: told.set())
    with companion([str(program)]):
        assert told.wait(30), "it cannot be started"
        made = tmp_path / "made"
        made.write_text(f"#!{sys.executable}\nimport sys\nopen({str(ran)!r}, 'w').write('it runs')\nsys.stdin.read()\n")
        made.chmod(0o755)
        made.rename(program)
        assert ran.read_text() == "it runs"
