"""Promise 5: transient errors are retried with visible age, terminal ones told at once, unknown ones are transient."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from backhaul import errors
from backhaul.errors import BackhaulError

from ..command import Backhaul
from ..fault_proxy import FaultProxy, refusal, reset

_TREE = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, BackhaulError)]
# The exit codes of the design, by the branch of the tree.
_EXIT_CODES = {1, 2, 4, 5, 6, 7, 8, 9, 10, 130, 143}


def test_every_error_has_a_code_of_its_own_and_three_sentences() -> None:
    """A code is an address (its page in the documentation), so no two classes share one."""
    codes = [error.code for error in _TREE]
    assert len(codes) == len(set(codes)) > 30
    for error in _TREE:
        made = error("It happened.")
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", made.code)
        assert made.as_json() == {"code": made.code, "message": "It happened.", "safe": made.safe, "next": made.next}
        assert made.safe.endswith(".")
        assert made.next.endswith((".", "?"))
        assert made.exit_code in _EXIT_CODES


def test_the_tree_at_the_top_of_the_module_is_the_tree() -> None:
    """Names and exit codes as drawn are names and exit codes as they are."""
    drawn = dict(re.findall(r"[├└]── (\w+)\s+(\d+)", str(errors.__doc__)))
    real = {error.__name__: str(error.exit_code) for error in _TREE if error is not BackhaulError}
    assert drawn == real


@pytest.mark.parametrize("status", [408, 429, 500, 599])
def test_transient_and_unknown_statuses_are_asked_again(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str, status: int
) -> None:
    """One bad answer of that kind, and the run arrives all the same; the wait is printed with its age."""
    proxy.on("UpsertBucket", refusal(status, "a passing trouble"))
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    # Lines are folded where a terminal's would end.
    assert re.search(r"failing for 0 s, trying again: .*a passing trouble", " ".join(done.stderr.split()))


@pytest.mark.parametrize(("status", "exit_code"), [(401, 4), (422, 7), (501, 7)])
def test_terminal_statuses_are_told_at_once(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str, status: int, exit_code: int
) -> None:
    """Asked once; nothing is waited for."""
    proxy.always("UpsertBucket", refusal(status))
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert done.exit_code == exit_code
    assert len(proxy.of("UpsertBucket")) == 1
    assert "trying again" not in done.stderr


def test_with_a_deadline_a_transient_error_is_retried_until_then(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """A server that is away for longer than we usually wait is still waited for if the user said so."""
    proxy.on("RunResumeStatus", reset, times=3)
    done = backhaul.to(proxy.url).sync(healthy, "-p", project, "--deadline", "60")
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert done.stderr.count("trying again") == 3
