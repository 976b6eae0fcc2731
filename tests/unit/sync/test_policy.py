"""What is left out by the user's own wish: which version holds an alias, and what patterns mean."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backhaul.errors import UsageError
from backhaul.sync.policy import ArtifactPolicy


def _artifact(name: str, *aliases: str, kind: str = "model") -> Any:
    return SimpleNamespace(type=kind, name=name, aliases=aliases)


_LOGGED = [
    _artifact("model", "latest"),
    _artifact("model", "latest", "final"),
    _artifact("data", "latest", kind="dataset"),
    _artifact("model", "latest"),
]


@pytest.mark.parametrize(
    ("only", "sent"),
    [
        ([], [0, 1, 2, 3]),
        (["model"], [0, 1, 3]),
        (["model:latest"], [3]),
        (["model:latest,final"], [1, 3]),
        (["*:latest"], [2, 3]),
        (["data", "model:final"], [1, 2]),
        (["Model"], []),
        (["model:best"], []),
    ],
)
def test_the_patterns_choose(only: list[str], sent: list[int]) -> None:
    """An alias is held by the version that was logged with it last, as on the server when the run has ended."""
    left_out = ArtifactPolicy.of(only, none=False).left_out(_LOGGED)
    assert [place for place in range(4) if place not in left_out] == sent


def test_none_means_none() -> None:
    """Whatever its name."""
    assert list(ArtifactPolicy.of([], none=True).left_out(_LOGGED)) == [0, 1, 2, 3]


@pytest.mark.parametrize(("only", "none"), [([""], False), (["model:"], False), ([":latest"], False), (["m"], True)])
def test_what_means_nothing_is_refused(only: list[str], none: bool) -> None:
    """Before anything is sent."""
    with pytest.raises(UsageError):
        ArtifactPolicy.of(only, none=none)
