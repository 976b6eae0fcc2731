"""Settings that keep runs offline, or send them elsewhere than the user believes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Surroundings
from backhaul.doctor.remedy import command, sync
from backhaul.wire.settings import user_file, values_of_file

# What wandb takes for each, and what becomes of a new run then.
_MODES = {"offline": "recorded offline", "dryrun": "recorded offline", "disabled": "not recorded at all"}


def check(surroundings: Surroundings) -> Iterator[Finding]:
    """Findings on `WANDB_MODE`, the `mode` of settings files, and settings files that name other servers."""
    mode = surroundings.env.get("WANDB_MODE", "").lower()
    if mode in _MODES:
        message = f"New runs are {_MODES[mode]}, because the environment says so."
        yield Finding("offline-switch", message, f"WANDB_MODE={mode}", "unset WANDB_MODE")
    user = user_file(surroundings.env, surroundings.home)
    files = {path: values_of_file(path, []) for path in (user, *_of_workspaces(surroundings))}
    for path, values in files.items():
        yield from _switch(path, values, of_user=path == user)
    yield from _hosts(surroundings, {path: values.get("base_url", "") for path, values in files.items()})


def _switch(path: Path, values: Mapping[str, str], *, of_user: bool) -> Iterator[Finding]:
    mode = "disabled" if values.get("disabled", "").lower() == "true" else values.get("mode", "").lower()
    if mode not in _MODES:
        return
    message = f"New runs are {_MODES[mode]}, because a settings file says so (`wandb {mode}` writes it)."
    remedy = f"{command('cd', path.parent.parent)} && wandb online"
    if of_user:
        # No command of wandb changes this one.
        remedy = command("sed", "-i", "/^mode *=/d;/^disabled *=/d", path)
    yield Finding("offline-switch", message, f"{path}: mode = {mode}", remedy, str(path))


def _hosts(surroundings: Surroundings, named: Mapping[Path, str]) -> Iterator[Finding]:
    """A settings file that names another server than the environment, or than another file."""
    hosts = {path: host.rstrip("/") for path, host in named.items() if host}
    chosen = surroundings.env.get("WANDB_BASE_URL", "").rstrip("/")
    for path, host in hosts.items():
        others = {chosen, *hosts.values()} - {"", host}
        if others:
            message = f"This settings file names {host}; elsewhere it is {' and '.join(sorted(others))}."
            evidence = f"{path}: base_url = {host}" + (f"; WANDB_BASE_URL={chosen}" if chosen else "")
            # Which of them is meant nobody but the user knows; this one sends there, and changes nothing.
            yield Finding("other-host", message, evidence, sync("--to", host), str(path))


def _of_workspaces(surroundings: Surroundings) -> Iterator[Path]:
    """The settings files of the workspaces that the user may mean."""
    cwd, root = surroundings.cwd, surroundings.env.get("WANDB_DIR")
    folders = [cwd / ".wandb", cwd / "wandb", *([Path(root, "wandb")] if root else []), *surroundings.folders]
    yield from dict.fromkeys(folder / "settings" for folder in folders)
