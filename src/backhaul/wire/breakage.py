"""What a failed exchange means: exceptions of the HTTP library and the system, told as errors of the one tree."""

from __future__ import annotations

import errno
import ssl
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp

from backhaul.errors import (
    BackhaulError,
    ClockWrong,
    ConnectionLost,
    ConnectionRefused,
    HostNotFound,
    ProxyRefused,
    TlsFailure,
    UnexpectedAnswer,
)
from backhaul.wire.connect_timed_out import ConnectTimedOut
from backhaul.wire.proxy import without_password

_UNREACHABLE = {
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EACCES,
    errno.EPERM,
    errno.EADDRNOTAVAIL,
}
# OpenSSL's verification codes.
_NOT_YET_VALID, _EXPIRED = 9, 10
# The peer hung up during the handshake: that is a restart or an overloaded load balancer, not a matter of trust.
_HANDSHAKE_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)


def breakage(error: Exception, url: str, proxy: str | None) -> BackhaulError:
    """Return the error that tells a user why there is no answer from `url` (asked through `proxy`)."""
    there = _host(url) + (f" (through the proxy {without_password(proxy)})" if proxy else "")
    if isinstance(error, TimeoutError):
        return ConnectTimedOut(f"Connecting to {there} took too long")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _tunnel_refused(error, there)
    if isinstance(error, aiohttp.ClientConnectorError):
        return _not_connected(error, there, proxy)
    if isinstance(error, ValueError | aiohttp.NonHttpUrlClientError):
        # The address or a header came from a server (an upload target) or from a setting, and is none.
        return UnexpectedAnswer(f"{_host(url) or 'The address'} cannot be asked: {_words(error)[:200]}")
    if isinstance(error, aiohttp.ClientResponseError):
        return UnexpectedAnswer(f"The answer of {there} is not HTTP as it should be: {error.message[:200]!r}")
    return ConnectionLost(f"The connection to {there} broke: {_words(error)}")


def _not_connected(error: aiohttp.ClientConnectorError, there: str, proxy: str | None) -> BackhaulError:
    cause = error.os_error if isinstance(error.os_error, Exception) else error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _not_trusted(error.certificate_error, there)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        # Behind a proxy it is the proxy's name that was looked up.
        return HostNotFound(f"There is no address for the name {without_password(proxy) if proxy else there}")
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, _HANDSHAKE_CUT):
        return TlsFailure(f"TLS with {there} failed: {_words(cause)}")
    if isinstance(cause, OSError) and cause.errno in _UNREACHABLE:
        return ConnectionRefused(f"No connection to {there}: {_words(cause)}")
    if isinstance(cause, OSError) and cause.errno == errno.ETIMEDOUT:
        return ConnectTimedOut(f"Connecting to {there} took too long")
    return ConnectionLost(f"No connection to {there}: {_words(cause)}")


def _not_trusted(error: Exception, there: str) -> BackhaulError:
    code = getattr(error, "verify_code", None)
    clock = f"this machine's clock says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    if code == _NOT_YET_VALID:
        return ClockWrong(f"The certificate of {there} is not valid yet, and {clock}")
    message = f"The certificate of {there} is not trusted: {_words(error)}"
    return TlsFailure(f"{message} ({clock})" if code == _EXPIRED else message)


def _tunnel_refused(error: aiohttp.ClientHttpProxyError, there: str) -> BackhaulError:
    message = f"The proxy did not open a way to {there}: {error.status} {error.message[:200]}"
    if error.status == 504:
        return ConnectTimedOut(message)
    return ConnectionRefused(message) if error.status >= 500 else ProxyRefused(message)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _words(error: BaseException) -> str:
    """The system's own words for an error, without addresses of Python objects."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or "certificate verify failed"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
