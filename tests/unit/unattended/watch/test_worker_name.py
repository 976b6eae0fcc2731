"""Who works on a queue, and whether he is gone."""

from __future__ import annotations

import subprocess

from backhaul.unattended.watch.worker_name import is_gone, name_of_this_process


def _name_of_a_dead_process() -> str:
    process = subprocess.Popen(["true"])
    process.wait()
    place, _, _ = name_of_this_process("node1").rpartition(":")[0].rpartition(":")
    return f"{place}:{process.pid}:aaaa"


def test_a_process_of_this_host_that_has_ended_is_gone() -> None:
    """One that runs is not; names differ although the process is one."""
    assert is_gone(_name_of_a_dead_process(), "node1")
    assert not is_gone(name_of_this_process("node1"), "node1")
    assert name_of_this_process("node1") != name_of_this_process("node1")


def test_of_another_host_nothing_is_known() -> None:
    """Also when it has the same name: its processes have other numbers."""
    dead = _name_of_a_dead_process()
    assert not is_gone(dead, "node2")
    place, _, rest = dead.partition("/")
    assert not is_gone(f"{place}/0{rest}", "node1")
    assert not is_gone("worker1", "node1")
