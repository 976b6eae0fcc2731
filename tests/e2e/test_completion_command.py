"""The shells themselves complete what a user has begun to type."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Backhaul

_START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(backhaul completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -U compinit && compinit -u; eval "$(backhaul completion zsh)"'),
}


class _Terminal:
    """A shell at a terminal, at which somebody types."""

    def __init__(self, shell: str, env: dict[str, str], cwd: Path) -> None:
        command, setting_up = _START[shell]
        program = shutil.which(command[0])
        assert program, f"{command[0]} is missing: scripts/system-packages installs it"
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=cwd, start_new_session=True
        )
        os.close(theirs)
        self.shown = ""
        # The answer is made by the shell, so that the echo of the typed line is not taken for it.
        self.type(f"{setting_up}; echo re''ady\n")
        self.wait_for("ready")

    def type(self, text: str) -> None:
        self.shown = ""
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> str:
        """Reads until the text is there; what was shown until then."""
        until = time.monotonic() + 120
        while text not in self.shown:
            ready, _, _ = select.select([self._ours], [], [], max(0, until - time.monotonic()))
            assert ready, f"{text!r} did not come; the terminal shows {self.shown!r}"
            self.shown += os.read(self._ours, 65536).decode(errors="replace")
        return self.shown

    def close(self) -> None:
        self._process.kill()
        self._process.wait(60)
        os.close(self._ours)


@pytest.fixture(params=["bash", "zsh"])
def terminal(request: pytest.FixtureRequest, isolated_env: dict[str, str], tmp_path: Path) -> Iterator[_Terminal]:
    (tmp_path / "wandb-of-ada").mkdir()
    opened = _Terminal(request.param, isolated_env | {"TERM": "dumb", "PS1": "> "}, tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("backhaul verif", "backhaul verify"), ("backhaul sync --dry", "--dry-run"), ("backhaul status wandb-o", "f-ada")],
)
def test_a_shell_completes_commands_options_and_paths(terminal: _Terminal, typed: str, completed: str) -> None:
    """The script that is printed works in the shell that it is for."""
    terminal.type(f"{typed}\t")
    terminal.wait_for(completed)


def test_fish_completes_from_the_file_in_its_folder_and_says_what_each_word_means(
    isolated_env: dict[str, str], tmp_path: Path
) -> None:
    """fish loads the file by itself, once the first word is `backhaul`."""
    setting_up = (
        "mkdir -p ~/.config/fish/completions; backhaul completion fish > ~/.config/fish/completions/backhaul.fish"
    )
    subprocess.run(["bash", "-c", setting_up], env=isolated_env, cwd=tmp_path, check=True)
    asked = ["fish", "-c", "complete -C 'backhaul verif'; complete -C 'backhaul sync --dry'"]
    told = subprocess.run(asked, env=isolated_env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == [
        "verify\tAsk the server whether it holds runs whole; sends nothing.",
        "--dry-run\tSay what would be sent; no network.",
    ]


def test_another_shell_is_refused_with_those_that_are_known(isolated_env: dict[str, str], tmp_path: Path) -> None:
    """A shell without a script is a wrong argument, and no script comes out."""
    refused = Backhaul(isolated_env, tmp_path)("completion", "tcsh")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "'bash', 'zsh', 'fish'" in refused.stderr
