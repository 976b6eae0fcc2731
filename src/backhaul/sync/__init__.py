"""Bringing a run to its destination, and proving that it arrived."""
