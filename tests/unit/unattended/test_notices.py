"""Notices of interruption: what each cloud is asked, and what its answers mean; the servers are real, on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from backhaul.unattended.notices import Aws, Azure, Gcp, HttpAsk, Notice, cloud_of_this_machine


class _Metadata(BaseHTTPRequestHandler):
    """Answers as the clouds' documentation has it; what it holds is in its server."""

    def do_PUT(self) -> None:
        asked_for_token = self.path == "/latest/api/token" and "X-aws-ec2-metadata-token-ttl-seconds" in self.headers
        self.server.tokens += 1
        self._answer(200 if asked_for_token else 400, f"token-{self.server.tokens}")

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, text, header, value = self.server.answers.get(self.path.partition("?")[0], (404, "", None, None))
        if callable(value):
            value = value()
        if header is not None and self.headers.get(header) != value:
            status, text = 401 if "token" in header else 403, ""
        self._answer(status, text)

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def metadata() -> Iterator[ThreadingHTTPServer]:
    """A metadata service; `answers` maps paths to (status, text, header that must be there, its value)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Metadata)
    server.answers, server.asked, server.tokens = {}, [], 0
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _ask(server: ThreadingHTTPServer) -> HttpAsk:
    return HttpAsk(f"http://127.0.0.1:{server.server_port}")


_ACTION = "/latest/meta-data/spot/instance-action"
_TOKEN = "X-aws-ec2-metadata-token"


def test_aws_is_asked_with_a_token_and_a_spent_one_is_renewed(
    metadata: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IMDSv2; 404 means that nothing is planned. A proxy is never asked: it would answer for its own machine."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    aws = Aws(_ask(metadata))
    assert aws() is None
    assert (metadata.asked, metadata.tokens) == ([_ACTION], 1)
    when = json.dumps({"action": "terminate", "time": "2026-01-01T08:22:00Z"})
    metadata.answers[_ACTION] = (200, when, _TOKEN, "token-2")
    assert aws() == Notice("AWS", "spot terminate", "2026-01-01T08:22:00Z")
    assert metadata.tokens == 2


_PREEMPTED = "/computeMetadata/v1/instance/preempted"


def test_gcp_is_asked_at_once_and_then_waited_for(metadata: ThreadingHTTPServer) -> None:
    """The change may have come before the first question."""
    gcp = Gcp(_ask(metadata))
    metadata.answers[_PREEMPTED] = (200, "FALSE\n", "Metadata-Flavor", "Google")
    assert gcp() is None
    metadata.answers[_PREEMPTED] = (200, "TRUE", "Metadata-Flavor", "Google")
    assert gcp() == Notice("GCP", "preemption")
    assert metadata.asked == [_PREEMPTED, f"{_PREEMPTED}?wait_for_change=true&timeout_sec=60"]


def _event(kind: str, *machines: str) -> dict[str, object]:
    return {
        "EventId": "1", "EventType": kind, "Resources": list(machines), "EventStatus": "Scheduled",
        "NotBefore": "Mon, 05 Jan 2026 18:29:47 GMT",
    }  # fmt: skip


_EVENTS, _NAME = "/metadata/scheduledevents", "/metadata/instance/compute/name"


@pytest.mark.parametrize(
    ("events", "name", "is_told"),
    [
        ([], "me", False),
        ([_event("Freeze", "me")], "me", False),
        ([_event("Preempt", "other")], "me", False),
        ([_event("Freeze", "me"), _event("Preempt", "other", "me")], "me", True),
        ([_event("Terminate", "me")], "me", True),
        ([_event("Preempt", "other")], None, True),
    ],
)
def test_azure_events_that_end_this_machine_are_told(
    metadata: ThreadingHTTPServer, events: list[dict[str, object]], name: str | None, is_told: bool
) -> None:
    """Those of other machines of the scale set are not; when we do not know our name, all are."""
    metadata.answers[_EVENTS] = (200, json.dumps({"DocumentIncarnation": 1, "Events": events}), "Metadata", "true")
    if name:
        metadata.answers[_NAME] = (200, name, "Metadata", "true")
    notice = Azure(_ask(metadata))()
    assert (notice is not None) is is_told
    if notice is not None:
        assert notice.when == "Mon, 05 Jan 2026 18:29:47 GMT"


@pytest.mark.parametrize("text", ["", "[]", "no json", '{"Events": 7}', '{"Events": [7, null]}', '"x"'])
def test_an_answer_that_is_none_is_no_notice(metadata: ThreadingHTTPServer, text: str) -> None:
    """Whatever stands at that address; for AWS the answer itself is the news."""
    metadata.answers[_EVENTS] = metadata.answers[_ACTION] = metadata.answers[_PREEMPTED] = (200, text, None, None)
    assert Azure(_ask(metadata))() is None
    assert Gcp(_ask(metadata))() is None
    assert Aws(_ask(metadata))() == Notice("AWS", "spot interruption")


def test_nobody_there_is_told_as_an_os_error() -> None:
    """Whoever asks tries again later."""
    for address in ("http://127.0.0.1:1", "no address"):
        with pytest.raises(OSError):
            HttpAsk(address)("GET", "/", {}, 1.0)


@pytest.mark.parametrize(
    ("files", "cloud"),
    [
        ({"sys_vendor": "Amazon EC2"}, "aws"),
        ({"sys_vendor": "Google", "product_name": "Google Compute Engine"}, "gcp"),
        (
            {"sys_vendor": "Microsoft Corporation", "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77"},
            "azure",
        ),
        # Hyper-V in a cellar.
        ({"sys_vendor": "Microsoft Corporation", "chassis_asset_tag": "0001"}, None),
        ({}, None),
    ],
)
def test_a_cloud_is_known_by_its_firmware(tmp_path: Path, files: dict[str, str], cloud: str | None) -> None:
    """Elsewhere nobody is asked: the address may be anything there."""
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    assert cloud_of_this_machine(tmp_path) == cloud
