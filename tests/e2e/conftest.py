"""The fixtures of everything that syncs."""

from __future__ import annotations

from ..sync_fixtures import backhaul, closed_port, healthy, healthy_original, official, project, proxy

__all__ = ["backhaul", "closed_port", "healthy", "healthy_original", "official", "project", "proxy"]
