"""What the depot keeps and how: one small interface, and its forms: a database (SQLite or PostgreSQL) and a folder."""

from __future__ import annotations

from backhaul.depot.store.interface import Blobs, Keeping, Store, Uploads, Users

__all__ = ["Blobs", "Keeping", "Store", "Uploads", "Users"]
