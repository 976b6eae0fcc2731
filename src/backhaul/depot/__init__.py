"""The depot: a W&B-compatible server, for sites that never reach the internet, and for trying things out."""

from __future__ import annotations

from backhaul.depot.service import Depot

__all__ = ["Depot"]
