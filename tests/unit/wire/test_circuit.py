"""One dead host and many who want to ask it: one asks."""

from __future__ import annotations

import pytest

from backhaul.errors import ConnectionRefused, RateLimited
from backhaul.wire.circuit import FAILURES_UNTIL_OPEN, Circuit


def _broken(at: float = 100.0) -> Circuit:
    circuit = Circuit()
    for _ in range(FAILURES_UNTIL_OPEN):
        assert circuit.refusal(at, 0.5) is None
        circuit.failed(ConnectionRefused("nobody there"), at, 0.5)
    return circuit


def test_after_five_failures_nobody_may_ask_for_a_while() -> None:
    """The refusal is the last failure again, with the time to wait."""
    refusal = _broken(at=100.0).refusal(100.2, 0.0)
    assert isinstance(refusal, ConnectionRefused)
    assert refusal.message == "nobody there"
    assert refusal.retry_after == pytest.approx(1.0)


def test_then_one_may_and_only_one() -> None:
    """Whoever comes while the probe is on its way is sent back, until it is known how it went."""
    circuit = _broken(at=100.0)
    assert circuit.refusal(102.0, 0.5) is None
    assert circuit.refusal(102.0, 0.5) is not None
    circuit.reached()
    assert [circuit.refusal(102.1, 0.5) for _ in range(3)] == [None, None, None]


def test_a_probe_that_fails_doubles_the_wait_up_to_a_minute() -> None:
    """And it is spread at random, so that several programs do not come back at once."""
    circuit, now, waits = _broken(at=0.0), 0.0, []
    for _ in range(10):
        began = now
        while circuit.refusal(now, 0.0) is not None:
            now += 0.25
        waits.append(now - began)
        circuit.failed(ConnectionRefused("still nobody"), now, 1.0)
    assert waits == sorted(waits)
    assert waits[-1] == 60.0


def test_a_probe_that_was_called_off_lets_the_next_one_ask() -> None:
    """Ctrl-C or a deadline of the one that asked says nothing about the host."""
    circuit = _broken(at=100.0)
    assert circuit.refusal(102.0, 0.5) is None
    circuit.left()
    assert circuit.refusal(102.0, 0.5) is None


def test_a_success_in_between_begins_the_count_anew() -> None:
    """Connections that break now and then are no dead host."""
    circuit = Circuit()
    for _ in range(3 * FAILURES_UNTIL_OPEN):
        assert circuit.refusal(0.0, 0.5) is None
        circuit.failed(RateLimited("busy"), 0.0, 0.5)
        circuit.reached()
