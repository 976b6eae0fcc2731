"""The home folder of whoever has one, and what those are told who have none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul.errors import ConfigurationError
from backhaul.runs.home import expanded, home
from backhaul.sync.depot_folder import default_data_folder
from backhaul.sync.state_folder import state_folder


@pytest.fixture(name="homeless")
def _homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container with a user number of its own: neither HOME nor an account names a folder."""
    for name in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "BACKHAUL_DEPOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654_321)


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("ask", [home, lambda: expanded(Path("~/runs")), state_folder, default_data_folder])
def test_without_a_home_folder_the_user_is_told_to_name_one(ask: Callable[[], Path]) -> None:
    """It is a setting that is missing, and no bug."""
    with pytest.raises(ConfigurationError) as told:
        ask()
    assert "Set HOME to a folder" in told.value.next


@pytest.mark.usefixtures("homeless")
def test_what_is_named_outright_needs_no_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path that begins at the root, and the variables for the folders themselves."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("BACKHAUL_DEPOT", str(tmp_path))
    assert (expanded(tmp_path), state_folder(), default_data_folder()) == (tmp_path, tmp_path / "backhaul", tmp_path)
