"""The fixtures of everything that syncs."""

from __future__ import annotations

import pytest

from backhaul.sync import checkpoint
from backhaul.wandblog import framing

from ...sync_fixtures import backhaul, healthy, healthy_original, project, proxy

__all__ = ["backhaul", "healthy", "healthy_original", "project", "proxy"]


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log is read in windows of some thousand bytes, with a checkpoint behind each."""
    monkeypatch.setattr(framing, "_FIRST_READ", 20_000)
    monkeypatch.setattr(framing, "_READ", 9_000)
    monkeypatch.setattr(checkpoint, "LEAST_BYTES_BETWEEN", 0)
    monkeypatch.setattr(checkpoint, "_TIMES_ITS_SIZE", 0)
