"""Whose certificates are trusted: the operating system's, plus the bundles that the user names."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import truststore

from backhaul.errors import TlsFailure

_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def tls_context(env: Mapping[str, str], *, insecure: bool = False) -> ssl.SSLContext:
    """Return a client context that trusts the system's store and every bundle named in the environment.

    The bundles add to the store instead of replacing it, so one that holds only a site's own authority is enough.
    `insecure` (WANDB_INSECURE_DISABLE_SSL) checks nothing. Raises TlsFailure for a bundle that cannot be loaded.
    """
    if insecure:
        unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unchecked.check_hostname = False
        unchecked.verify_mode = ssl.CERT_NONE
        return unchecked
    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for variable in _BUNDLE_VARIABLES:
        if env.get(variable):
            _load(context, variable, Path(env[variable]))
    return context


def _load(context: ssl.SSLContext, variable: str, bundle: Path) -> None:
    try:
        if bundle.is_dir():
            context.load_verify_locations(capath=str(bundle))
        else:
            context.load_verify_locations(cafile=str(bundle))
    except (OSError, ssl.SSLError) as error:
        raise TlsFailure(
            f"{variable} names {bundle}, which cannot be loaded as certificates: {error.strerror or error}",
            next=f"Set {variable} to a file of PEM certificates, or unset it, then run the same command again.",
        ) from error
