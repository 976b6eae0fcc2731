"""What a watcher tells: log lines, systemd, Prometheus, the state of a line."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path

import pytest

from backhaul.errors import ConfigurationError, ConnectionRefused, CredentialsRefused, RateLimited
from backhaul.unattended.queue.entry import Entry, Item, QueueState
from backhaul.unattended.watch.line import Line
from backhaul.unattended.watch.log import Log
from backhaul.unattended.watch.metrics import Metrics
from backhaul.unattended.watch.systemd import notify, watchdog_interval


def test_a_line_of_json_has_time_level_event_and_error() -> None:
    """What is not known is left out."""
    stream = io.StringIO()
    Log(True, stream, lambda: 1.5).tell("line", ConnectionRefused("no"), to="http://x", next_in=None)
    document = json.loads(stream.getvalue())
    assert document == {
        "at": "1970-01-01T00:00:01.500+00:00", "level": "warning", "event": "line", "to": "http://x",
        "error": ConnectionRefused("no").as_json(),
    }  # fmt: skip


def test_a_line_for_people_is_short() -> None:
    """The time of day, what happened, what is known of it."""
    stream = io.StringIO()
    Log(False, stream, lambda: 3661).tell("verified", path=Path("/runs/a"), lines=7)
    Log(False, stream, lambda: 3661).tell("line", ConnectionRefused("nobody listens"))
    assert stream.getvalue().splitlines() == [
        "01:01:01  verified     path=/runs/a  lines=7",
        "01:01:01  line           connection-refused: nobody listens",
    ]


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    """A full disk, or a terminal that was closed."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    Log(True, Full()).tell("verified")


@pytest.mark.parametrize("address", ["{folder}/notify", "@backhaul-test-{name}"])
def test_systemd_gets_a_datagram(folder: Path, address: str) -> None:
    """By a path, or in the abstract namespace."""
    address = address.format(folder=folder, name=folder.name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0"))
        notify("READY=1\nSTATUS=fine", {"NOTIFY_SOCKET": address})
        assert manager.recv(100) == b"READY=1\nSTATUS=fine"


def test_without_systemd_nothing_is_told(tmp_path: Path) -> None:
    """Nor when its socket is gone."""
    notify("READY=1", {})
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})


@pytest.mark.parametrize(
    ("env", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(env: dict[str, str], interval: float | None) -> None:
    """If it is ours."""
    assert watchdog_interval(env, pid=7) == interval


def _item(state: QueueState, queued_at: float) -> Item:
    return Item(Entry(Path("/runs/offline-run-1-a/run-a.wandb"), state=state), 0, 0, 0, False, queued_at, "", 0.0)


def test_figures_are_those_of_the_queue(tmp_path: Path) -> None:
    """By state; the oldest is that of the runs that are not home."""
    metrics = Metrics()
    metrics.show([_item(QueueState.VERIFIED, 0), _item(QueueState.BLOCKED, 60), _item(QueueState.BLOCKED, 90)], 100)
    metrics.write(tmp_path / "backhaul.prom")
    lines = (tmp_path / "backhaul.prom").read_text().splitlines()
    assert 'backhaul_runs{state="blocked"} 2.0' in lines
    assert "backhaul_oldest_seconds 40.0" in lines
    assert [path.name for path in tmp_path.iterdir()] == ["backhaul.prom"]


def test_a_port_that_is_taken_is_told() -> None:
    """Before anything begins."""
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ConfigurationError, match="in use"):
        Metrics().serve("127.0.0.1", other.getsockname()[1])


def test_a_dead_line_is_asked_again_at_growing_times() -> None:
    """Up to five minutes; an answer opens it, and speaks for the next minute."""
    line, now = Line(), 1000.0
    assert (line.may_be_tried(now), line.must_be_probed(now)) == (True, True)
    assert line.failed(ConnectionRefused("x"), now, chance=1.0)
    waits = []
    for _ in range(10):
        assert not line.may_be_tried(now)
        waits.append(line.until - now)
        now = line.until
        assert line.may_be_tried(now)
        assert not line.failed(ConnectionRefused("x"), now, chance=1.0)
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert line.since == 1000.0
    assert line.reached(now)
    assert not line.reached(now)
    assert (line.must_be_probed(now + 59), line.must_be_probed(now + 60)) == (False, True)


def test_credentials_that_are_refused_close_the_line_as_well() -> None:
    """And a server that says when is asked then."""
    line = Line()
    line.failed(CredentialsRefused("401"), 0.0, chance=1.0)
    assert line.until == 2.0
    line.failed(RateLimited("429", retry_after=77), 2.0, chance=1.0)
    assert line.until == 79.0
