"""W&B's own hosts: one deployment answers under several names, and keys are stored under any of them.

Sources: `wandb/sdk/lib/urls.py` and `api_to_app_url` in `wandb/util.py` of 0.31.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from backhaul.errors import ConfigurationError
from backhaul.wire.remote import RunAddress

DEFAULT_BASE_URL = "https://api.forge.coreweave.com"

_PROXIED_PATH, _PAGES_PATH = "/api/wandb", "/wandb"
_API_BEHIND = {
    "forge.coreweave.com": "api.wandb.ai",
    "qa.forge.coreweave.com": "api.qa.wandb.ai",
}
_WANDB_AI = re.compile(r"(^|\.)wandb\.ai$")


def checked_base_url(url: str) -> str:
    """Return the API's address as wandb understands `url`; raises ConfigurationError when it can be none.

    The last slash goes; the web address of a Forge host becomes that of its API.
    """
    url = url.strip()
    host = _host(url)
    if host in _API_BEHIND:
        return _direct_address(url, host)
    if _WANDB_AI.search(host) and "api." not in host:
        raise _not_an_address(url, DEFAULT_BASE_URL)
    if _WANDB_AI.search(host) and not url.startswith("https:"):
        raise _not_an_address(url, f"https://{host}")
    return url.rstrip("/")


def machine_names(base_url: str) -> list[str]:
    """The names under which a netrc file may hold the key for `base_url`, the exact one first."""
    parts = urlsplit(base_url)
    names = [parts.netloc.rpartition("@")[2]]
    for forge, api in _API_BEHIND.items():
        if parts.hostname in (forge, f"api.{forge}", api):
            names += [api, f"api.{forge}", forge]
    return list(dict.fromkeys(name for name in names if name))


def page_of(base_url: str, run: RunAddress) -> str:
    """The address of a run's page for people, which is not on the host of the API everywhere."""
    path = "/".join(quote(part, safe="") for part in (run.entity, run.project, "runs", run.run_id))
    return f"{_site_of(base_url.rstrip('/'))}/{path}"


def _site_of(base_url: str) -> str:
    host = urlsplit(base_url).hostname
    for forge, api in _API_BEHIND.items():
        if host in (f"api.{forge}", api):
            return f"https://{forge}{_PAGES_PATH}"
    return base_url.replace("://api.", "://" if "://api.wandb." in base_url else "://app.", 1)


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  reading it checks it
    except ValueError as error:
        raise _not_an_address(url) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or any(c.isspace() for c in url):
        raise _not_an_address(url)
    return parts.hostname


def _direct_address(url: str, host: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.port is None and parts.path.rstrip("/") == _PROXIED_PATH:
        return f"https://api.{host}"
    raise _not_an_address(url, f"https://api.{host}")


def _not_an_address(url: str, better: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"{url!r} is not the address of a W&B server" + (f"; did you mean {better}?" if better else ""),
        next="Set WANDB_BASE_URL (or --to) to the server's API, for example https://api.wandb.ai.",
    )
