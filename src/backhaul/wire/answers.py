"""What a server's answer means: pure functions from an answer to an error, or to none.

Statuses and error bodies: the official client's `api/backenderrors.go` and `clients/retry_policy.go`. What that client
repeats without end is told at once here where another try cannot help.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from backhaul.errors import (
    BackhaulError,
    BadRequest,
    CaptivePortal,
    CredentialsRefused,
    Forbidden,
    NotFound,
    ProxyRefused,
    QuotaExceeded,
    RateLimited,
    RunBusy,
    RunDeleted,
    ServerUnavailable,
    TemporaryError,
    TimedOut,
    TooLarge,
    UnexpectedAnswer,
)
from backhaul.wire.message import Response

_WORDS_LIMIT = 500
_DELETED = "previously created and deleted"
_QUOTA = r"quota|(storage|usage|tracked hours?)[^.]{0,40}(limit|exceeded|exhausted)|upgrade your plan"
# Redirects that lead somewhere else for now, as to a login; the permanent ones belong to a wrong address.
_SENT_AWAY = frozenset({302, 303})
_HTML = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
# Forty letters and digits in a row, both present: a key, or what is as long as one.
_SECRET = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{40,}")

_BY_STATUS: Mapping[int, type[BackhaulError]] = {
    401: CredentialsRefused,
    402: QuotaExceeded,
    403: Forbidden,
    404: NotFound,
    405: UnexpectedAnswer,
    407: ProxyRefused,
    408: TimedOut,
    409: RunBusy,
    413: TooLarge,
    425: ServerUnavailable,
    429: RateLimited,
    501: BadRequest,  # "not implemented" stays so
    505: BadRequest,
    507: QuotaExceeded,
    511: CaptivePortal,  # a network that wants a login first
    **dict.fromkeys((400, 406, 410, 411, 412, 414, 415, 416, 417, 421, 422, 426, 428, 431, 451), BadRequest),
}
# What a GraphQL error means when the status is 200; the first that fits counts.
_BY_TEXT: tuple[tuple[re.Pattern[str], type[BackhaulError]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (_DELETED, RunDeleted),
        (r"RATE_?LIMIT|rate limit|too many requests", RateLimited),
        (_QUOTA, QuotaExceeded),
        (r"PERMISSION_ERROR|FORBIDDEN|permission denied|not authorized|access denied", Forbidden),
        (r"UNAUTHENTICATED|not logged in|invalid api key|unauthorized", CredentialsRefused),
        (r"INTERNAL|database error|timed? ?out|deadline exceeded|unavailable|try again", ServerUnavailable),
        (r"NOT_FOUND|not found|does not exist", NotFound),
    )
)


def error_of(
    response: Response, doing: str, now: float | None = None, secrets: Iterable[str] = ()
) -> BackhaulError | None:
    """Return what went wrong with the request behind `response`, or None when nothing did; never raises.

    `doing` begins the message ("Creating the run e/p/r"), the server's own words (cut to 500 characters) end it. `now`
    (POSIX seconds) turns a date in Retry-After into seconds. `secrets` are texts that the message must not contain.
    """
    succeeded = 200 <= response.status < 300
    kind = _hidden_failure(response) if succeeded else _kind_of_status(response)
    if kind is None:
        return None
    return kind(f"{doing} failed: {_reason(response, secrets)}", retry_after=retry_after_of(response.headers, now))


def is_html(response: Response) -> bool:
    """Whether a web page was sent: what a login page, a captive portal or a wrong address answers.

    Google's storage calls the empty body of its acknowledgements `text/html`: without a body there is no page.
    """
    if not response.body.strip():
        return False
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") or _HTML.match(response.body[:4096]) is not None


def retry_after_of(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return how many seconds the server asks to wait, from Retry-After (seconds, fractions too, or a date)."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _until(text, now)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def server_words(response: Response, secrets: Iterable[str] = ()) -> str:
    """The server's own explanation as one printable line of at most 500 characters; empty without one."""
    words = "" if is_html(response) else "; ".join(_messages(_parsed(response.body)))
    for secret in secrets:
        words = words.replace(secret, "[hidden]") if secret else words
    words = _SECRET.sub("[hidden]", words)
    # Control characters could rewrite the terminal that shows the message.
    words = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    return words if len(words) <= _WORDS_LIMIT else words[: _WORDS_LIMIT - 1] + "…"


def _hidden_failure(response: Response) -> type[BackhaulError] | None:
    """The failure behind a 2xx answer: a web page, or GraphQL errors."""
    if is_html(response):
        return CaptivePortal
    document = _parsed(response.body)
    errors = document.get("errors") if isinstance(document, dict) else None
    return _kind_of_graphql_errors(errors) if errors else None


def _kind_of_graphql_errors(errors: object) -> type[BackhaulError]:
    listed = errors if isinstance(errors, list) else [errors]
    text = " ".join(f"{_code(error)} {_message(error)}" for error in listed)
    for pattern, kind in _BY_TEXT:
        if pattern.search(text):
            return kind
    codes = [_code(error) for error in listed]
    statuses = [int(code) for code in codes if code.isascii() and code.isdigit() and len(code) == 3]
    return next((_by_status(status) for status in statuses if status >= 400), BadRequest)


def _kind_of_status(response: Response) -> type[BackhaulError]:
    status = response.status
    # A W&B server never redirects these requests, and says 404 in JSON: a page or a redirect comes from someone else.
    if status in _SENT_AWAY:
        return CaptivePortal
    if 300 <= status < 400 or (status == 404 and is_html(response)):
        return UnexpectedAnswer
    if status in (400, 409, 410) and _DELETED in server_words(response):
        return RunDeleted
    if status in (400, 403, 422) and re.search(_QUOTA, server_words(response), re.IGNORECASE):
        return QuotaExceeded
    return _by_status(status)


def _by_status(status: int) -> type[BackhaulError]:
    # Unknown failures count as temporary, so that nothing is given up too early.
    return _BY_STATUS.get(status) or (ServerUnavailable if 500 <= status < 600 else TemporaryError)


def _reason(response: Response, secrets: Iterable[str]) -> str:
    words = server_words(response, secrets)
    if 200 <= response.status < 300:
        return f"the server says: {words}" if words else "the answer is a web page"
    parts = [f"the server answered {response.status}"]
    if 300 <= response.status < 400:
        parts.append(f"which sends us to {_host(response.headers.get('location', ''))}")
    if is_html(response):
        parts.append("with a web page")
    return " ".join(parts) + (f" ({words})" if words else "")


def _host(location: str) -> str:
    # The host alone: the rest of the address may carry a signature.
    try:
        parts = urlsplit(location)
    except ValueError:
        return "another address"
    host = "".join(c for c in parts.netloc.rpartition("@")[2] if c.isprintable())[:100]
    return f"{parts.scheme}://{host}" if host else "another address"


def _parsed(body: bytes) -> object:
    if not body:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _messages(document: object) -> list[str]:
    if not isinstance(document, dict):
        return []
    if "error" in document:
        return [_message(document["error"])]
    errors = document.get("errors")
    return [text for text in map(_message, errors if isinstance(errors, list) else [errors]) if text]


def _message(error: object) -> str:
    text = error.get("message") if isinstance(error, dict) else error
    return text if isinstance(text, str) else ""


def _code(error: object) -> str:
    extensions = error.get("extensions") if isinstance(error, dict) else None
    code = extensions.get("code") if isinstance(extensions, dict) else None
    return str(code) if isinstance(code, str | int) else ""


def _until(text: str, now: float | None) -> float:
    if now is None or not text:
        return math.nan
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError, OSError, IndexError):
        return math.nan
