"""`backhaul completion`: the script by which a shell completes commands, options and paths."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

# Where each shell looks, or what its start-up file has to say; told in the help, held against the shells in a test.
_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(ctx: click.Context, /, shell: str) -> None:
    """Print the script by which a shell completes commands, options and paths.

    \b
    bash  eval "$(backhaul completion bash)"            in ~/.bashrc
    zsh   eval "$(backhaul completion zsh)"             in ~/.zshrc, after compinit
    fish  backhaul completion fish > ~/.config/fish/completions/backhaul.fish
    """
    root = ctx.find_root().command
    kind = get_completion_class(shell)
    assert kind is not None, f"click knows no completion for {shell}"
    print(kind(root, {}, "backhaul", "_BACKHAUL_COMPLETE").source())
