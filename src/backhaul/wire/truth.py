"""How wandb spells yes in an environment variable or a settings file."""

from __future__ import annotations

_YES = {"1", "true", "t", "yes", "y", "on"}


def is_true(value: str | None) -> bool:
    """Whether `value` means yes, as wandb's settings read booleans; None and everything else mean no."""
    return value is not None and value.strip().lower() in _YES
