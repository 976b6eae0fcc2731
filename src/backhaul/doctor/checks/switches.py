"""Settings that keep runs offline, or send them elsewhere than the user believes."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from pathlib import Path

from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Surroundings

_OFFLINE = frozenset({"offline", "dryrun", "disabled"})


def check(surroundings: Surroundings) -> Iterator[Finding]:
    """Findings on `WANDB_MODE`, the `mode` of settings files, and settings files that name other servers."""
    mode = surroundings.env.get("WANDB_MODE", "").lower()
    if mode in _OFFLINE:
        message = "New runs are recorded offline, because the environment says so."
        yield Finding("offline-switch", message, f"WANDB_MODE={mode}", "unset WANDB_MODE")
    hosts: dict[Path, str] = {}
    for path in _files(surroundings):
        values = _values(path)
        if (mode := values.get("mode", "").lower()) in _OFFLINE or values.get("disabled", "").lower() == "true":
            message = "New runs are recorded offline, because a settings file says so (`wandb offline` writes it)."
            yield Finding("offline-switch", message, f"{path}: mode = {mode or 'disabled'}", "wandb online", str(path))
        if host := values.get("base_url", "").rstrip("/"):
            hosts[path] = host
    named = surroundings.env.get("WANDB_BASE_URL", "").rstrip("/")
    for path, host in hosts.items():
        others = {named, *hosts.values()} - {"", host}
        if others:
            message = f"This settings file names {host}; elsewhere it is {' and '.join(sorted(others))}."
            evidence = f"{path}: base_url = {host}" + (f"; WANDB_BASE_URL={named}" if named else "")
            yield Finding(
                "other-host", message, evidence, f"backhaul sync --to {host}, or wandb login --host {host}", str(path)
            )


def _files(surroundings: Surroundings) -> Iterator[Path]:
    """The user's file, and those of the workspaces that the user may mean."""
    config, root = surroundings.env.get("WANDB_CONFIG_DIR"), surroundings.env.get("WANDB_DIR")
    yield (Path(config) if config else surroundings.home / ".config" / "wandb") / "settings"
    workspaces = [surroundings.cwd / "wandb", *([Path(root, "wandb")] if root else []), *surroundings.folders]
    yield from dict.fromkeys(folder / "settings" for folder in workspaces)


def _values(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, UnicodeDecodeError, configparser.Error):
        # wandb takes such a file for empty as well.
        return {}
    return dict(parser["default"]) if parser.has_section("default") else {}
