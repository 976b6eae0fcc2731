"""What the depot keeps and how: one small interface, and its form on one machine (SQLite and a folder)."""

from __future__ import annotations

from backhaul.depot.store.interface import Blobs, Store, Uploads

__all__ = ["Blobs", "Store", "Uploads"]
