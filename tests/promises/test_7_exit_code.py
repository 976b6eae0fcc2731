"""Promise 7: the exit code is the truth, and `--json` says it for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backhaul.errors import (
    BackhaulError,
    DeadlineReached,
    Forbidden,
    LogDamaged,
    NoCredentials,
    RateLimited,
    UnreadableFile,
    VerificationFailed,
)
from backhaul.sync.outcome import Outcome, RunState, overall_exit_code

from ..command import Backhaul, copied, copy_of
from ..fault_proxy import FaultProxy, refusal

_TEXT, _NUMBER, _COUNT = (str,), (int,), (int, type(None))
_SHAPE: dict[str, Any] = {
    "path": _TEXT,
    "run_id": _TEXT,
    "entity": (str, type(None)),
    "project": (str, type(None)),
    "state": {"recording", "pending", "sending", "sent", "verified", "blocked", "quarantined"},
    "streams": {name: {"local": _COUNT, "remote": _COUNT} for name in ("history", "events", "output")},
    "files": {"local": _NUMBER, "remote": _NUMBER},
    "artifacts": (dict,),
    "quarantined": (list,),
    "error": ({"code": _TEXT, "message": _TEXT, "safe": _TEXT, "next": _TEXT}, None),
    "receipt": (str, type(None)),
}


def _assert_shape(document: Any) -> None:
    """The document is as the design has it; more members may be there."""
    assert isinstance(document["exit_code"], int)
    for run in document["runs"]:
        for name, kind in _SHAPE.items():
            _assert_member(run[name], kind, name)
        for item in run["quarantined"]:
            assert item.keys() == {"what", "reason", "next"}


def _assert_member(value: Any, kind: Any, name: str) -> None:
    if isinstance(kind, set):
        assert value in kind, name
    elif isinstance(kind, dict):
        assert value.keys() == kind.keys(), name
        for key, inner in kind.items():
            _assert_member(value[key], inner, f"{name}.{key}")
    elif isinstance(kind[0], dict):
        if value is not None:
            _assert_member(value, kind[0], name)
    else:
        assert isinstance(value, kind), name


def test_the_document_has_the_shape_of_the_design_whatever_happened(
    backhaul: Backhaul, proxy: FaultProxy, healthy_original: Path, tmp_path: Path, project: str
) -> None:
    """Verified, damaged, unreadable, planned, refused: one document on stdout, and its exit code is the process's."""
    folder = tmp_path / "mixed"
    copied(healthy_original, folder)
    copy_of("0.31.0-killed", folder)
    (folder / "wandb" / "offline-run-20200101_000000-bad").mkdir()
    (folder / "wandb" / "offline-run-20200101_000000-bad" / "run-bad.wandb").touch()
    through = backhaul.to(proxy.url)
    planned = through.sync(folder, "-p", project, "--dry-run")
    proxy.on("UpsertBucket", refusal(403), times=2)
    refused = through.sync(folder, "-p", project)
    done = through.sync(folder, "-p", project)
    absent = through.sync(tmp_path / "absent")
    for each, exit_code in ((planned, 0), (refused, 7), (done, 6), (absent, 2)):
        assert (each.exit_code, each.document["exit_code"]) == (exit_code, exit_code), each.stderr
        _assert_shape(each.document)
    assert sorted(run["state"] for run in done.document["runs"]) == ["quarantined", "verified", "verified"]
    assert [run["state"] for run in refused.document["runs"]] == ["quarantined"] * 3


def test_without_json_nothing_is_on_stdout(backhaul: Backhaul, healthy: Path, project: str) -> None:
    """Everything for people goes to stderr, so that a pipe gets the document or nothing."""
    done = backhaul("sync", healthy, "-p", project)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "verified" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--no-such-option"], ["sync", "--jobs", "0"], ["sync", "--max-file-size", "many"], ["no-such-command"]],
)
def test_wrong_usage_is_2(backhaul: Backhaul, arguments: list[str]) -> None:
    """Before anything is read or sent."""
    assert backhaul(*arguments).exit_code == 2


def test_one_id_for_several_runs_is_wrong_usage(backhaul: Backhaul, healthy_original: Path, tmp_path: Path) -> None:
    """`--id` would put all of them into one run."""
    copied(healthy_original, tmp_path / "two")
    copy_of("0.31.0", tmp_path / "two")
    assert backhaul("sync", tmp_path / "two", "--id", "one").exit_code == 2


def test_a_file_left_out_by_wish_is_no_failure_and_no_mark(backhaul: Backhaul, healthy: Path, project: str) -> None:
    """All that was asked for is verified: exit 0; but the run is not marked as synced, for something is still here."""
    done = backhaul.sync(healthy, "-p", project, "--exclude", "saved*")
    assert (done.exit_code, done.only["state"]) == (0, "verified")
    assert not list(healthy.glob("*.synced"))
    assert json.dumps(done.only["left_out"]).count("saved.txt") == 1


def _outcome(error: BackhaulError | None, state: RunState = RunState.VERIFIED) -> Outcome:
    outcome = Outcome(Path("run"), "id")
    outcome.state = state
    if error is not None:
        outcome.fail(error)
    return outcome


_FORBIDDEN, _DAMAGED, _LIMITED = Forbidden("x"), LogDamaged("x"), RateLimited("x")


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([], 0),
        ([None, None], 0),
        ([None, UnreadableFile("x")], 6),
        ([_DAMAGED, None], 9),
        ([_DAMAGED, UnreadableFile("x")], 6),
        ([UnreadableFile("x"), _FORBIDDEN], 7),
        ([_FORBIDDEN, VerificationFailed("x")], 10),
        ([VerificationFailed("x"), _LIMITED], 5),
        ([_LIMITED, DeadlineReached("x")], 8),
        ([DeadlineReached("x"), NoCredentials("x")], 4),
        ([None, _DAMAGED, _LIMITED, BackhaulError("x")], 1),
    ],
)
def test_of_several_outcomes_the_most_urgent_is_the_exit_code(
    errors: list[BackhaulError | None], expected: int
) -> None:
    """A bug, then what the user must mend, then what waiting helps, then what nothing helps, then losses."""
    assert overall_exit_code(map(_outcome, errors)) == expected
    assert overall_exit_code(map(_outcome, reversed(errors))) == expected


def test_a_run_that_is_only_sent_is_not_0() -> None:
    """Anything short of verified is not what was asked for."""
    for state in RunState:
        assert (overall_exit_code([_outcome(None, state)]) == 0) is (state is RunState.VERIFIED)
