"""The pages for people: what runs there are, and what one of them logged."""

from __future__ import annotations

from backhaul.depot.pages.site import Pages

__all__ = ["Pages"]
