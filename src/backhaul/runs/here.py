"""The folder in which a command was started, which may be gone by now."""

from __future__ import annotations

from pathlib import Path

from backhaul.errors import ConfigurationError


def here() -> Path:
    """The current folder. Raises ConfigurationError when somebody has removed it, as at the end of a job."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise ConfigurationError(
            "The folder that you are in is not there any more.",
            next="Go to another one (`cd`), then run the same command again.",
        ) from error
