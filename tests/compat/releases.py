"""The releases of the SDK that the matrix runs, and which of them have what came later."""

from __future__ import annotations

import os

import pytest

from .conftest import INSTALLED

RELEASES = ("0.13.11", "0.15.12", "0.16.6", "0.17.9", "0.18.7", "0.19.11", "0.21.4", "0.24.2", "0.28.2", "0.31.0")
_WANTED = os.environ.get("BACKHAUL_SDK", " ".join(RELEASES)).split()


def each_release(since: str = "0.13.11", installed: bool = False) -> pytest.MarkDecorator:
    """The test runs by hand with every release from `since` on, and with `installed` always with the one at hand."""
    found = [release for release in _WANTED if _number(release) >= _number(since)]
    params = [pytest.param(release, marks=[pytest.mark.soak, pytest.mark.timeout(900)]) for release in found]
    return pytest.mark.parametrize("interpreter", [INSTALLED, *params] if installed else params, indirect=True)


def _number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))
