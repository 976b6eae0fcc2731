"""What a status and a body mean."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from backhaul.wire.answers import error_of, retry_after_of
from backhaul.wire.message import Response

DELETED = "run e/p/r was previously created and deleted; try a new run name"
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def answer(status: int, body: object = b"", **headers: str) -> Response:
    """A response with this body, as JSON unless it is bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def errors(message: str, code: object = None) -> dict[str, object]:
    """A GraphQL error body."""
    return {"data": None, "errors": [{"message": message, "extensions": {"code": code} if code else {}}]}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (answer(401, {"errors": [{"message": "user is not logged in"}]}), CredentialsRefused),
        (answer(402), QuotaExceeded),
        (answer(403, errors("permission denied", "PERMISSION_ERROR")), Forbidden),
        (answer(404, {"errors": ["project not found"]}), NotFound),
        (answer(404, PAGE), UnexpectedAnswer),
        (answer(405), UnexpectedAnswer),
        (answer(407), ProxyRefused),
        (answer(408), TimedOut),
        (answer(409, {"error": DELETED}), RunDeleted),
        (answer(410, {"error": DELETED}), RunDeleted),
        (answer(400, {"error": {"message": DELETED}}), RunDeleted),
        (answer(409, {"error": "Error 1062: Duplicate entry"}), RunBusy),
        (answer(410), BadRequest),
        (answer(400, errors("invalid tag")), BadRequest),
        (answer(413), TooLarge),
        (answer(422), BadRequest),
        (answer(425), ServerUnavailable),
        (answer(429, {"error": "rate limit exceeded"}), RateLimited),
        (answer(500, errors("An internal error occurred.")), ServerUnavailable),
        (answer(502, PAGE), ServerUnavailable),
        (answer(503), ServerUnavailable),
        (answer(504), ServerUnavailable),
        (answer(599), ServerUnavailable),
        (answer(501), BadRequest),
        (answer(499), TemporaryError),
        (answer(301, location="https://wandb.example/graphql"), UnexpectedAnswer),
        (answer(511), CaptivePortal),
        (answer(403, errors("team storage limit reached")), QuotaExceeded),
        (answer(200, errors("You have exceeded your storage quota")), QuotaExceeded),
        (answer(200, errors("rate limit exceeded for your quota")), RateLimited),
        (answer(302, location="https://login.example/?token=abc"), CaptivePortal),
        (answer(200, PAGE), CaptivePortal),
        (answer(200, b"<html>"), CaptivePortal),
        (answer(200, b"welcome", content_type="text/html; charset=utf-8"), CaptivePortal),
        (answer(200, errors(DELETED)), RunDeleted),
        (answer(200, errors("permission denied", "PERMISSION_ERROR")), Forbidden),
        (answer(200, errors("no", "FORBIDDEN")), Forbidden),
        (answer(200, errors("user is not logged in")), CredentialsRefused),
        (answer(200, errors("rate limit exceeded")), RateLimited),
        (answer(200, errors("An internal error occurred. Please contact support.")), ServerUnavailable),
        (answer(200, errors("entity x not found during upsertBucket")), NotFound),
        (answer(200, errors("sorry", 403)), Forbidden),
        (answer(200, errors("sorry", "503")), ServerUnavailable),
        (answer(200, errors('Cannot query field "features" on type "ServerInfo".')), BadRequest),
        (answer(200, {"errors": ["odd"]}), BadRequest),
    ],
    ids=lambda value: f"{value.status}-{value.body[:30]!r}" if isinstance(value, Response) else value.__name__,
)
def test_failures_are_classified_by_status_and_text(response, expected):
    """Each answer becomes exactly one class, so that retry, exit code and advice follow from it."""
    assert type(error_of(response, "Asking")) is expected


@pytest.mark.parametrize(
    "response",
    [
        answer(200, b"", content_type="text/html; charset=UTF-8"),
        answer(200, {"data": {}}),
        answer(200),
        answer(204),
        answer(200, {"errors": []}),
        answer(201, b"<?xml?>"),
    ],
)
def test_success_is_no_error(response):
    """A 2xx without errors and without a web page is fine; Google's storage calls its empty acknowledgement HTML."""
    assert error_of(response, "Asking") is None


def test_message_says_what_was_done_the_status_and_the_servers_words():
    """The user reads what we were doing and what the server said to it."""
    error = error_of(answer(403, errors("permission denied")), "Creating the run e/p/r")
    assert error is not None
    assert error.message == "Creating the run e/p/r failed: the server answered 403 (permission denied)"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "one"}, "one"),
        ({"error": {"message": "one"}}, "one"),
        ({"errors": ["one", "two"]}, "one; two"),
        ({"errors": [{"message": "one"}, {"message": "two"}]}, "one; two"),
        ({"error": "one", "errors": ["two"]}, "one"),
        ({"error": "a\nb\x1b[31mc\u202ed"}, "a b [31mc d"),
        ({"error": "x" * 10_000}, "x" * 499 + "…"),
    ],
)
def test_servers_words_are_taken_from_all_known_shapes_on_one_short_line(body, words):
    """All four shapes of error bodies are understood; terminals are not rewritten, messages not flooded."""
    error = error_of(answer(400, body), "Asking")
    assert error is not None
    assert error.message == f"Asking failed: the server answered 400 ({words})"


def test_key_that_a_server_repeats_is_hidden():
    """No message holds a key: neither one that we know nor what looks like one."""
    known, unknown = "local-my key", "0123456789abcdef0123456789abcdef01234567"
    error = error_of(answer(400, {"error": f"bad key {known} or {unknown}"}), "Asking", secrets=[known])
    assert error is not None
    assert "bad key [hidden] or [hidden]" in error.message


def test_redirect_names_the_host_and_not_the_query():
    """A login page's host helps the user; the rest of its address may be secret."""
    error = error_of(answer(302, location="https://login.example/sso?token=abc"), "Asking")
    assert error is not None
    assert "https://login.example" in error.message
    assert "abc" not in error.message


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("value", "now", "expected"),
    [
        ("7", None, 7.0),
        ("4.4", None, 4.4),
        ("0", None, 0.0),
        ("-3", None, 0.0),
        (formatdate(NOW + 90, usegmt=True), NOW, 90.0),
        (formatdate(NOW - 90, usegmt=True), NOW, 0.0),
        (formatdate(NOW, usegmt=True), None, None),
        ("soon", NOW, None),
        ("", NOW, None),
        ("nan", NOW, None),
        ("inf", NOW, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value, now, expected):
    """Both spellings count, fractions too; nonsense counts as nothing said."""
    assert retry_after_of({"retry-after": value}, now) == expected
    error = error_of(answer(429, retry_after=value), "Asking", now)
    assert error is not None
    assert error.retry_after == expected


JSONS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "errors", "message", "extensions", "code"]) | st.text(), inner)
    ),
    max_leaves=12,
)
BODIES = st.binary() | JSONS.map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "location", "content-type"]), st.text())


@given(st.integers(-10, 1000), HEADERS, BODIES, st.none() | st.floats(0, 4e9))
def test_classification_never_raises_and_never_misses_a_failure(status, headers, body, now):
    """Whatever a server says, the result is an error of the tree or none; every status outside of 2xx is an error."""
    error = error_of(Response(status, headers, body), "Asking", now)
    assert error is None or isinstance(error, BackhaulError)
    if not 200 <= status < 300:
        assert error is not None
    if error is not None:
        assert type(error) is not BackhaulError
        assert error.message.isprintable()
        assert len(error.message) < 800


def test_deeply_nested_answer_is_survived():
    """A body made to exhaust the stack is just an answer without words."""
    assert isinstance(error_of(answer(400, b"[" * 200_000), "Asking"), BadRequest)
