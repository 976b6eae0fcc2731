"""The official client's system tests, run against a depot."""
