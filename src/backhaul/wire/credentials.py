"""Where the API key is.

The places are those of wandb 0.31 (`lib/wbauth/authenticate.py`, `lib/wbauth/wbnetrc.py`), in its order:
WANDB_API_KEY, the netrc file, the settings files. Identity tokens (WANDB_IDENTITY_TOKEN_FILE) are not exchanged yet.
"""

from __future__ import annotations

import netrc
from collections.abc import Mapping
from pathlib import Path

from backhaul.errors import NoCredentials
from backhaul.wire.hosts import machine_names
from backhaul.wire.settings import Settings, expanded

_SHORTEST_KEY = 40


def find_api_key(base_url: str, settings: Settings, env: Mapping[str, str], home: Path) -> str:
    """Return the API key for `base_url`, as `find_key` finds it."""
    return find_key(base_url, settings, env, home)[0]


def find_key(base_url: str, settings: Settings, env: Mapping[str, str], home: Path) -> tuple[str, str]:
    """Return the API key for `base_url` and the place it was found in.

    Raises NoCredentials, which says where was looked, when there is none.

    A key of unusual length is returned as it is: the server decides. A key that cannot be sent in a header is refused.
    """
    looked: list[str] = []
    if key := _from_environment(env, looked):
        return key, "WANDB_API_KEY"
    if key := _from_netrc(base_url, env, home, looked):
        return key, str(_netrc_path(env, home))
    if key := _from_settings(base_url, settings, looked):
        return key, "the settings file"
    if settings.identity_token_file:
        looked.append("WANDB_IDENTITY_TOKEN_FILE is set, but identity tokens are not supported yet")
    raise NoCredentials(f"No API key for {base_url}: {'; '.join(looked)}")


def _from_environment(env: Mapping[str, str], looked: list[str]) -> str | None:
    key = env.get("WANDB_API_KEY", "").strip()
    if not key:
        looked.append("WANDB_API_KEY is not set")
    return _sendable(key, "WANDB_API_KEY")


def _from_netrc(base_url: str, env: Mapping[str, str], home: Path, looked: list[str]) -> str | None:
    path = _netrc_path(env, home)
    names = machine_names(base_url)
    try:
        hosts = netrc.netrc(str(path)).hosts
    except FileNotFoundError:
        looked.append(f"{path} does not exist")
        return None
    except netrc.NetrcParseError as error:
        looked.append(f"{path} cannot be read (line {error.lineno})")
        return None
    except (OSError, UnicodeDecodeError) as error:
        looked.append(f"{path} cannot be read ({type(error).__name__})")
        return None
    key = next((hosts[name][2] for name in names if name in hosts and hosts[name][2]), None)
    key = key or _from_default_entry(hosts)
    if not key:
        looked.append(f"{path} has no entry for {' or '.join(names)}")
    return _sendable(key, str(path))


def _from_default_entry(hosts: Mapping[str, tuple[str, str, str]]) -> str | None:
    # A `default` entry is mostly somebody's FTP password, which must not be sent to a W&B server.
    key = hosts["default"][2] if "default" in hosts else ""
    return key if len(key) >= _SHORTEST_KEY else None


def _from_settings(base_url: str, settings: Settings, looked: list[str]) -> str | None:
    if settings.api_key and settings.base_url.rstrip("/") == base_url.rstrip("/"):
        return _sendable(settings.api_key.strip(), "the settings file")
    looked.append("the settings files hold no api_key for this server")
    return None


def _netrc_path(env: Mapping[str, str], home: Path) -> Path:
    if env.get("NETRC"):
        return expanded(env["NETRC"], home)
    windows_style = home / "_netrc"
    usual = home / ".netrc"
    return windows_style if windows_style.exists() and not usual.exists() else usual


def _sendable(key: str | None, source: str) -> str | None:
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise NoCredentials(
            f"What {source} holds is no API key: it has blanks or characters that no key has",
            next="Run `wandb login --relogin`, or set WANDB_API_KEY to the key alone.",
        )
    return key
