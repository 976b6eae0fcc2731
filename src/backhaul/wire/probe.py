"""One layer of the network at a time: the name, the connection, who signed the certificate."""

from __future__ import annotations

import asyncio
import socket
import ssl

from cryptography import x509
from cryptography.x509.oid import NameOID

from backhaul.errors import ConnectionRefused, HostNotFound, TimedOut, TlsFailure


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


async def signer_of(host: str, port: int, context: ssl.SSLContext, within: float) -> str:
    """Who signed the certificate that `host` shows, if `context` trusts it.

    Raises TlsFailure, which names the signer, when it does not: that tells a proxy that opens TLS from a wrong clock or
    a missing bundle. Raises TimedOut after `within` seconds.
    """
    try:
        async with asyncio.timeout(within):
            try:
                return _issuer(await _certificate(host, port, context))
            except ssl.SSLError as error:
                reason = getattr(error, "verify_message", "") or error.reason or str(error)
                shown = _issuer(await _certificate(host, port, _trusting_anybody()))
                raise TlsFailure(
                    f"The certificate of {host} is signed by {shown}, and is not trusted: {reason}"
                ) from error
    except TimeoutError:
        raise TimedOut(f"TLS with {host}:{port} did not come about within {within:g} s") from None
    except OSError as error:
        raise TlsFailure(f"TLS with {host}:{port} failed: {error.strerror or error}") from error


async def _certificate(host: str, port: int, context: ssl.SSLContext) -> bytes:
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    try:
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
    return bytes(certificate or b"")


def _trusting_anybody() -> ssl.SSLContext:
    """For looking at a certificate only: nothing is sent over such a connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _issuer(certificate: bytes) -> str:
    issuer = x509.load_der_x509_certificate(certificate).issuer
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        names = issuer.get_attributes_for_oid(oid)
        if names:
            return str(names[0].value)
    return issuer.rfc4514_string()
