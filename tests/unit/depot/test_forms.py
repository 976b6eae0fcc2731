"""The forms of the pages, and what is stored for them: nothing of another site's, nothing that runs."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from backhaul.depot import attempts, body

from ...depot_client import Client
from ...depot_thread import served_depot

if TYPE_CHECKING:
    from pathlib import Path


def _login(client: Client, **headers: str) -> tuple[int, str | None]:
    reply = client.request("POST", "/login", f"key={client.api_key}".encode(), headers)
    return reply.status, reply.headers.get("set-cookie")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_a_form_that_another_site_sends_signs_nobody_in_or_out(client: Client, headers: dict[str, str]) -> None:
    """Else a site could sign a visitor in as somebody else, and see what they then do."""
    assert _login(client, **headers) == (403, None)
    assert client.request("POST", "/logout", b"", headers).status == 403


def test_a_form_of_the_depots_own_signs_in(client: Client) -> None:
    """With what browsers say of it, and for programs that say nothing."""
    own = {"Sec-Fetch-Site": "same-origin", "Origin": client.url}
    for headers in (own, {"Origin": client.url}, {}):
        status, cookie = _login(client, **headers)
        assert status == 303
        assert {"httponly", "samesite=strict"} <= {part.strip().lower() for part in (cookie or "").split(";")}


def test_every_wrong_sign_in_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page for people has the same bound as the API, and they share it."""
    monkeypatch.setattr(attempts, "INTERVAL", 3600.0)  # however long the machine takes for them
    with served_depot(tmp_path / "data") as client:
        wrong = Client(client.url, "0" * 40)
        told = [_login(wrong)[0] for _ in range(31)]
        assert told == [403] * 30 + [429]
        assert wrong.query("{ viewer { name } }").status == 429
        assert _login(client)[0] == 429


def test_a_file_has_the_bound_that_the_operator_sets(tmp_path: Path) -> None:
    """Refused by what the client announces, else when too much came; nothing of it is kept."""
    with served_depot(tmp_path, max_file_size=1000) as client:
        client.open_run("p", "r1")
        address = client.upload_address("p", "r1", "a.bin")
        assert client.request("PUT", address, b"x" * 1001).status == 413
        chunked = iter([b"x" * 600, b"x" * 600])
        assert client.request("PUT", address, chunked).status == 413  # type: ignore[arg-type]
        assert client.run_field("p", "r1", "fileCount") == {"fileCount": 0}
        assert list((tmp_path / "blobs" / "incoming").iterdir()) == []
        assert client.request("PUT", address, b"x" * 1000).status == 200


def test_a_body_that_stops_coming_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """408, which clients try again; a silent client holds nothing for ever."""
    monkeypatch.setattr(body, "_SILENCE", 0.2)
    with served_depot(tmp_path) as client, socket.create_connection(_endpoint(client), timeout=20) as silent:
        head = (
            f"POST /graphql HTTP/1.1\r\nHost: h\r\nAuthorization: {client.authorization}\r\nContent-Length: 9\r\n\r\nx"
        )
        silent.sendall(head.encode())
        assert silent.recv(100).startswith(b"HTTP/1.1 408")


def _endpoint(client: Client) -> tuple[str, int]:
    parts = urlsplit(client.url)
    return parts.hostname or "", parts.port or 0
