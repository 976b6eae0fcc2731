"""The run that is recorded once a session."""

from __future__ import annotations

from ...sync_fixtures import healthy, healthy_original

__all__ = ["healthy", "healthy_original"]
