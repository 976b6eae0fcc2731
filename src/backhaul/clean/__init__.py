"""Deleting runs that are home: only what a receipt proves and the destination confirms again, and nothing beside it."""
