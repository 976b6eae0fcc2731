"""The command line: one file a command. Reads arguments, calls one use case, renders."""

from backhaul.cli.main import main

__all__ = ["main"]
