"""The settings that users of wandb already have: environment, workspace file, user's file.

Names, places and precedence are those of wandb 0.31 (`wandb_settings.py`, `lib/settings_file.py`): the environment wins
over the workspace's `wandb/settings`, that one over the user's `~/.config/wandb/settings`.
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backhaul.errors import ConfigurationError
from backhaul.wire.hosts import DEFAULT_BASE_URL, checked_base_url
from backhaul.wire.truth import is_true

DEFAULT_HTTP_TIMEOUT = 30.0

_SECTION = "default"
_SPECIAL_NAMES = {
    "WANDB_HTTP_TIMEOUT": "x_graphql_timeout_seconds",
    "WANDB_USER_EMAIL": "email",
}
# What wandb does not take from a file.
_NOT_IN_FILES = {"settings_system", "root_dir"}


@dataclass(frozen=True)
class Settings:
    """What the user has told wandb already, as far as a sync needs it.

    `http_timeout` (seconds) is for one GraphQL request. `sources` are the files that were read, `warnings` what was
    wrong with them (such a file counts as empty, as for wandb). The API key never shows in the representation.
    """

    base_url: str = DEFAULT_BASE_URL
    entity: str | None = None
    project: str | None = None
    http_timeout: float = DEFAULT_HTTP_TIMEOUT
    username: str = ""
    email: str = ""
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    api_key: str | None = field(default=None, repr=False)
    identity_token_file: str | None = None
    http_proxy: str | None = field(default=None, repr=False)
    https_proxy: str | None = field(default=None, repr=False)
    insecure_disable_ssl: bool = False
    ignore_globs: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


def load_settings(env: Mapping[str, str], cwd: Path, home: Path) -> Settings:
    """Return the settings of a user with this environment, working directory and home.

    Raises ConfigurationError, naming the setting, for a value that cannot be what it should be.
    """
    found: dict[str, str] = {}
    sources: list[Path] = []
    warnings: list[str] = []
    for path in (user_file(env, home), _workspace_file(cwd)):
        values = values_of_file(path, warnings)
        if values:
            sources.append(path)
            found.update(values)
    found.update(_environment_values(env))
    return Settings(
        base_url=checked_base_url(found.get("base_url") or DEFAULT_BASE_URL),
        entity=found.get("entity") or None,
        project=found.get("project") or None,
        http_timeout=_seconds(found.get("x_graphql_timeout_seconds")),
        username=found.get("username", ""),
        email=found.get("email", ""),
        extra_headers=_headers(found.get("x_extra_http_headers")),
        api_key=found.get("api_key") or None,
        identity_token_file=found.get("identity_token_file") or None,
        http_proxy=found.get("http_proxy") or None,
        https_proxy=found.get("https_proxy") or None,
        insecure_disable_ssl=is_true(found.get("insecure_disable_ssl")),
        ignore_globs=tuple(glob for glob in found.get("ignore_globs", "").split(",") if glob),
        sources=tuple(sources),
        warnings=tuple(warnings),
    )


def expanded(path: str, home: Path) -> Path:
    """`path` with a leading `~` replaced by `home`."""
    return home / path[1:].lstrip("/\\") if path == "~" or path.startswith("~/") else Path(path)


def user_file(env: Mapping[str, str], home: Path) -> Path:
    """The user's settings file, be it there or not."""
    folder = env.get("WANDB_CONFIG_DIR")
    return (expanded(folder, home) if folder else home / ".config" / "wandb") / "settings"


def _workspace_file(cwd: Path) -> Path:
    # WANDB_DIR has no say here: wandb reads the files before it reads the environment.
    hidden = cwd / ".wandb"
    return (hidden if hidden.exists() else cwd / "wandb") / "settings"


def values_of_file(path: Path, warnings: list[str]) -> dict[str, str]:
    """What a settings file sets; nothing for one that is not there, and for one that is broken, which is told."""
    # Without interpolation: a percent sign in a proxy's password is no reference to another setting.
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        warnings.append(f"{path} was left out: {type(error).__name__}")
        return {}
    values = dict(parser.items(_SECTION)) if parser.has_section(_SECTION) else {}
    return {name: value for name, value in values.items() if name not in _NOT_IN_FILES}


def _environment_values(env: Mapping[str, str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for variable, value in env.items():
        if variable in _SPECIAL_NAMES:
            values[_SPECIAL_NAMES[variable]] = value
        elif variable.startswith("WANDB__"):
            values["x_" + variable.removeprefix("WANDB__").lower()] = value
        elif variable.startswith("WANDB_"):
            values[variable.removeprefix("WANDB_").lower()] = value
    return {name: value for name, value in values.items() if value}


def _seconds(text: str | None) -> float:
    if not text:
        return DEFAULT_HTTP_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigurationError(
            f"WANDB_HTTP_TIMEOUT is {text!r}, which is no number of seconds",
            next="Set WANDB_HTTP_TIMEOUT to a number such as 60, then run the same command again.",
        )
    return seconds or DEFAULT_HTTP_TIMEOUT


def _headers(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    try:
        headers = json.loads(text)
    except ValueError:
        headers = None
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        # The text itself is not repeated: such headers often hold a secret.
        raise ConfigurationError(
            "WANDB_X_EXTRA_HTTP_HEADERS is not a JSON object of texts",
            next='Write it like {"X-My-Header": "value"}, then run the same command again.',
        )
    return headers
