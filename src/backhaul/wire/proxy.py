"""Which HTTP proxy a request goes through, decided from the environment as wandb and Go decide it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from backhaul.errors import ProxyRefused

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_DEFAULT_PORTS = {"http": 80, "https": 443}


def proxy_for(
    url: str, env: Mapping[str, str], *, http_proxy: str | None = None, https_proxy: str | None = None
) -> str | None:
    """Return the proxy's URL for `url`, or None for the direct way; raises ProxyRefused for a proxy we cannot speak.

    `http_proxy` and `https_proxy` are wandb's own settings (WANDB_HTTP_PROXY, WANDB_HTTPS_PROXY): they win, and
    NO_PROXY does not apply to them. Otherwise HTTP_PROXY, HTTPS_PROXY and NO_PROXY count, in capitals or not; this
    machine is never asked through a proxy. Source: the official client's `clients/proxy.go` and Go's `httpproxy`.
    """
    parts = urlsplit(url)
    own = https_proxy if parts.scheme == "https" else http_proxy
    if own:
        return _checked(own)
    found = _variable(env, f"{parts.scheme}_proxy")
    if not found or _is_exempt(parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0), env):
        return None
    return _checked(found)


def without_password(proxy: str) -> str:
    """The proxy's address as it may be printed: no user, no password."""
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _variable(env: Mapping[str, str], name: str) -> str:
    return (env.get(name.upper()) or env.get(name) or "").strip()


def _checked(proxy: str) -> str:
    full = proxy if "://" in proxy else f"http://{proxy}"
    parts = urlsplit(full)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ProxyRefused(
            f"The proxy {without_password(full)} cannot be used; only HTTP proxies are supported",
            next="Set HTTPS_PROXY to an http:// address, or unset it, then run the same command again.",
        )
    return full


def _is_exempt(host: str, port: int, env: Mapping[str, str]) -> bool:
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    entries = [entry.strip().lower() for entry in _variable(env, "no_proxy").split(",")]
    return any(entry and _matches(entry, host.lower(), address, port) for entry in entries)


def _matches(entry: str, host: str, address: _Address | None, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return address is not None and _in_network(address, entry)
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit() and not name.count(":"):
        if int(wanted) != port:
            return False
        entry = name
    if address is not None:
        return address == _address(entry)
    if entry.startswith("*."):
        entry = entry[1:]
    return host.endswith(entry) if entry.startswith(".") else host == entry or host.endswith(f".{entry}")


def _in_network(address: _Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
