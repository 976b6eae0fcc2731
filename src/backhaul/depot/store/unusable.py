"""Why a depot cannot keep anything in a place of others."""

from __future__ import annotations


class PlaceRefused(RuntimeError):
    """The object store does not let us keep blobs there; trying again does not help."""


class PlaceUnreachable(OSError):
    """The object store or the database does not answer, or not as it should; it may do so later."""
