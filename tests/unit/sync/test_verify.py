"""Comparing what the destination holds with what the log says: nothing of ours may be missing or different."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backhaul.runs.payloads import Digest
from backhaul.runs.rows import Stream
from backhaul.sync.verify import Expected, Remote, compare


def _lines(history: int, events: int = 1, output: int = 0) -> dict[Stream, int]:
    return {Stream.HISTORY: history, Stream.EVENTS: events, Stream.OUTPUT: output}


_EXPECTED = Expected(
    lines=_lines(3),
    last_line='{"_step":7,"x":NaN}',
    summary='{"x":NaN,"deep":{"a":1,"b":[1,Infinity]},"gone":null}',
    config='{"lr":{"value":0.1},"_wandb":{"value":{"t":{}}}}',
    files={"a.txt": Digest(3, "md5==")},
    artifacts={"id": "digest"},
    finished=True,
)
_REMOTE = Remote(
    lines=_lines(3),
    history_tail=['{"x":"NaN","_step":7}'],
    summary='{"x":"NaN","deep":{"a":1.0,"b":[1,"Infinity"]},"gone":null}',
    config='{"lr":{"value":0.1,"desc":null}}',
    files={"a.txt": (3, "md5==")},
    artifacts={"id": ("COMMITTED", "digest")},
    state="finished",
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"summary": '{"x":NaN,"deep":{"a":1,"b":[1,Infinity],"more":2},"gone":null,"_server":1}'},
        {"config": '{"lr":0.1,"other":{"value":1},"_wandb":{"value":{"t":{"1":[2]}}}}'},
        {"files": {"a.txt": (3, None), "more.txt": (1, "x")}},
        {"state": "failed"},
        {"state": "crashed"},
        {"artifacts": {"id": ("COMMITTED", "")}},
    ],
)
def test_what_a_server_may_add_or_spell_otherwise_is_no_difference(changes: dict[str, Any]) -> None:
    """NaN as text, keys of the server's own, an MD5 that is not told."""
    assert compare(_EXPECTED, replace(_REMOTE, **changes)) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"lines": _lines(2)}, "lines of wandb-history.jsonl"),
        ({"lines": _lines(4)}, "lines of wandb-history.jsonl"),
        ({"lines": _lines(3, events=0)}, "lines of wandb-events.jsonl"),
        ({"lines": _lines(3, output=1)}, "lines of output.log"),
        ({"history_tail": ['{"_step":6}']}, "last step"),
        ({"history_tail": ['{"x":1}']}, "last step"),
        ({"summary": '{"deep":{"a":1,"b":[1,"Infinity"]},"gone":null}'}, "summary 'x'"),
        ({"summary": '{"x":"NaN","deep":{"a":2,"b":[1,"Infinity"]},"gone":null}'}, "summary 'deep'"),
        ({"summary": '{"x":"NaN","deep":{"a":1,"b":[1]},"gone":null}'}, "summary 'deep'"),
        ({"config": '{"lr":{"value":0.2}}'}, "config 'lr'"),
        ({"config": ""}, "config 'lr'"),
        ({"files": {}}, "file a.txt"),
        ({"files": {"a.txt": (4, "md5==")}}, "file a.txt"),
        ({"files": {"a.txt": (3, "other")}}, "file a.txt"),
        ({"artifacts": {}}, "artifact id"),
        ({"artifacts": {"id": ("PENDING", "digest")}}, "artifact id"),
        ({"artifacts": {"id": ("COMMITTED", "other")}}, "artifact id"),
        ({"state": "running"}, "state"),
    ],
)
def test_each_loss_is_one_difference(changes: dict[str, Any], what: str) -> None:
    """Named, with both sides."""
    (difference,) = compare(_EXPECTED, replace(_REMOTE, **changes))
    assert difference.what == what
    assert str(difference).startswith(f"{what}: expected ")


def test_a_run_that_goes_on_may_still_be_running() -> None:
    """A script that asked for its run to stay open has no end to look for."""
    assert compare(replace(_EXPECTED, finished=False), replace(_REMOTE, state="running")) == []


def test_an_overtaken_fragment_may_have_lines_after_its_own_and_not_fewer() -> None:
    """Later fragments of the same run add lines; they take none away."""
    overtaken = replace(_EXPECTED, last_line=None, followed=True)
    assert compare(overtaken, replace(_REMOTE, lines=_lines(9, 9, 9))) == []
    assert [difference.what for difference in compare(overtaken, replace(_REMOTE, lines=_lines(2)))] == [
        "lines of wandb-history.jsonl"
    ]


def test_many_losses_are_all_found() -> None:
    """One does not hide another."""
    nothing = Remote(_lines(0, 0), [], "", "", {}, {}, "running")
    assert len(compare(_EXPECTED, nothing)) == 9
