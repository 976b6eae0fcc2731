"""One layer of the network at a time: the name, the connection, who signed the certificate."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from backhaul.errors import ConnectionRefused, HostNotFound, ProxyRefused, TimedOut, TlsFailure
from backhaul.wire.proxy import without_password

# Those that sign nearly all of the public web, by their names in certificates.
_PUBLIC = (
    "let's encrypt", "internet security research group", "digicert", "google trust services", "amazon", "sectigo",
    "globalsign", "microsoft", "godaddy", "entrust", "ssl corp", "certainly", "zerossl", "cloudflare", "comodo",
    "starfield", "identrust", "buypass", "actalis", "harica", "quovadis", "swisssign", "telia",
)  # fmt: skip


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a name. Raises HostNotFound."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise HostNotFound(f"There is no address for the name {host}: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def connect(host: str, port: int, within: float) -> None:
    """Open a connection and close it. Raises ConnectionRefused, and TimedOut after `within` seconds."""
    try:
        async with asyncio.timeout(within):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise TimedOut(
            f"No connection to {host}:{port} within {within:g} s: a firewall that drops it, perhaps."
        ) from None
    except OSError as error:
        raise ConnectionRefused(f"No connection to {host}:{port}: {error.strerror or error}") from error
    writer.close()


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed a certificate; `is_public` says that it is one of the authorities that sign for everybody."""

    name: str
    is_public: bool


async def signer_of(host: str, port: int, context: ssl.SSLContext, within: float, proxy: str | None = None) -> Signer:
    """Who signed the certificate that `host` shows, through `proxy` if one is given, if `context` trusts it.

    Raises TlsFailure, which names the signer, when it does not: that tells a proxy that opens TLS from a wrong clock or
    a missing bundle. Raises ProxyRefused when the proxy opens no way, and TimedOut after `within` seconds.
    """
    try:
        async with asyncio.timeout(within):
            try:
                return _issuer(await _certificate(host, port, context, proxy))
            except ssl.SSLError as error:
                reason = getattr(error, "verify_message", "") or error.reason or str(error)
                shown = _issuer(await _certificate(host, port, _trusting_anybody(), proxy))
                raise TlsFailure(
                    f"The certificate of {host} is signed by {shown.name}, and is not trusted: {reason}"
                ) from error
    except TimeoutError:
        raise TimedOut(f"TLS with {host}:{port} did not come about within {within:g} s") from None
    except OSError as error:
        raise TlsFailure(f"TLS with {host}:{port} failed: {error.strerror or error}") from error


async def signer_shown(host: str, port: int, within: float, proxy: str | None = None) -> Signer | None:
    """Who signed the certificate that `host` shows, be it trusted or not; None when that cannot be seen."""
    try:
        async with asyncio.timeout(within):
            return _issuer(await _certificate(host, port, _trusting_anybody(), proxy))
    except (OSError, ProxyRefused, ValueError):
        return None


async def _certificate(host: str, port: int, context: ssl.SSLContext, proxy: str | None) -> bytes:
    writer = await _opened(host, port, proxy)
    try:
        await writer.start_tls(context, server_hostname=host)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
    return bytes(certificate or b"")


async def _opened(host: str, port: int, proxy: str | None) -> asyncio.StreamWriter:
    """A connection to `host`, or to it through the proxy."""
    if proxy is None:
        return (await asyncio.open_connection(host, port))[1]
    parts = urlsplit(proxy)
    tls = parts.scheme == "https" or None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if tls else 80), ssl=tls)
    try:
        writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{_authorization(parts)}\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        status = answer.split(b"\r\n", 1)[0].decode(errors="replace")
        if status.split()[1:2] != ["200"]:
            raise ProxyRefused(f"The proxy {without_password(proxy)} opened no way to {host}:{port}: {status[:200]}")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        writer.close()
        raise ProxyRefused(f"The proxy {without_password(proxy)} does not answer as one does.") from error
    except BaseException:
        writer.close()
        raise
    return writer


def _authorization(parts: SplitResult) -> str:
    if not parts.username:
        return ""
    name_and_password = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Proxy-Authorization: Basic {b64encode(name_and_password.encode()).decode()}\r\n"


def _trusting_anybody() -> ssl.SSLContext:
    """For looking at a certificate only: nothing is sent over such a connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _issuer(certificate: bytes) -> Signer:
    issuer = x509.load_der_x509_certificate(certificate).issuer
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        names = issuer.get_attributes_for_oid(oid)
        if names:
            name = str(names[0].value)
            return Signer(name, any(known in name.lower() for known in _PUBLIC))
    return Signer(issuer.rfc4514_string(), False)
