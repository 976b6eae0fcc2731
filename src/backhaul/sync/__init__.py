"""Bringing a run to its destination, and proving that it arrived. Called, it is the Python API."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """`backhaul.sync(…)` is a function to users, and the import system keeps this package under the same name.

    Being both, it does not matter which of them a program meets first.
    """

    def __call__(self, *args: Any, **options: Any) -> Any:
        from backhaul.sync.door import sync

        return sync(*args, **options)


sys.modules[__name__].__class__ = _CallablePackage
