"""The fixtures of everything that syncs."""

from __future__ import annotations

from ..sync_fixtures import backhaul, healthy, healthy_original, official, project, proxy

__all__ = ["backhaul", "healthy", "healthy_original", "official", "project", "proxy"]
