"""Where a request comes from."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

from backhaul.depot.refusal import Refused


def caller(request: Request) -> str:
    """The client's network address; behind a trusted proxy the one that the proxy tells."""
    return request.client.host if request.client else ""


def base_of(request: Request, public_url: str | None) -> str:
    """The address under which the client reached the depot, where no other was given."""
    return public_url or str(request.base_url)


def from_here(request: Request, public_url: str | None) -> None:
    """Returns only for a form of the depot's own pages. Refused with 403 for one that another site sent.

    Browsers say which site a form is of; who says nothing is no browser, and holds no cookie of one.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = {urlsplit(base_of(request, public_url)).netloc, request.headers.get("host")}
    if site not in (None, "same-origin", "none") or (origin is not None and urlsplit(origin).netloc not in own):
        raise Refused("this form was sent by another site", 403)
