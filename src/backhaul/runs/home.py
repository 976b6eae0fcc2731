"""The user's home folder, which not every process has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backhaul.errors import ConfigurationError


@contextmanager
def needing_home() -> Iterator[None]:
    """Whatever in the block needs a home folder that nobody knows raises ConfigurationError.

    So it is in a container with a user number of its own, where neither HOME nor an account names one.
    """
    try:
        yield
    except RuntimeError as error:
        raise ConfigurationError(
            "This user has no home folder: HOME is not set, and the system has no account of this number.",
            next="Set HOME to a folder that you may write, then run the same command again.",
        ) from error


def home() -> Path:
    """The user's home folder. Raises ConfigurationError."""
    with needing_home():
        return Path.home()


def expanded(path: Path) -> Path:
    """The path, `~` at its beginning made a folder. Raises ConfigurationError."""
    with needing_home():
        return path.expanduser()
