"""What a depot holds, told as records and read again, is the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from backhaul.depot.model import Alert, Project, Run
from backhaul.relay.transcript import Held, records
from backhaul.runs.identity import RunIdentity
from backhaul.runs.rows import NUMBERED, Rows, Stream
from backhaul.wandblog.raw import RawBatch
from backhaul.wandblog.record import Batch

HISTORY = (
    '{"_step":0,"_runtime":0.25,"_timestamp":1.795838962456358e9,"loss":1,"odd":{"a.b":{"deep":[1,null]}},"a.b":2}',
    '{"_step":3,"_runtime":0.5,"_timestamp":1795838963.5,"loss":NaN,"huge":12345678901234567890,"t":"\\ud83d é \\n"}',
    '{"_step":4,"loss":-Infinity,"empty":{},"none":null}',
)
EVENTS = (
    '{"_wandb":true,"_timestamp":1795838972.25,"_runtime":10.5,"system.cpu":1.5,"system.disk./.percent":3}',
    '{"_wandb":true,"_timestamp":1795838982.75,"_runtime":21.0,"system.cpu":2}',
)
OUTPUT = (
    "2026-11-28T04:09:22.456358 hello",
    "2026-11-28T04:09:22.456358 ",
    "ERROR 2026-11-28T04:09:23.000001 it \x1b[31mbroke",
    "2026-11-28T04:09:24.000000   50%|##  | \x1b[A",
)
RUN = Run(
    id=7,
    project=Project(1, "team", "demo", 0.0),
    name="r1",
    display_name="Näme",
    state="finished",
    config='{"lr":{"value":0.1},"nested":{"value":{"a":[1,2]}},"_wandb":{"value":{"t":{"5":"0.31.0"},"m":[{"1":"acc"}]}}}',
    summary='{"loss":{"min":0.5},"_runtime":21,"_step":4,"_wandb":{"runtime":21},"a.b":2}',
    created_at=1795838961.0,
    updated_at=1795838990.0,
    heartbeat_at=1795838990.0,
    exit_code=0,
    notes="n",
    tags=("x", "y"),
    group="g",
    job_type="train",
    host="node",
    program="train.py",
    commit="abc",
    repo="git@example.org:r",
)
HELD = Held(RUN, "", "finished", HISTORY, EVENTS, OUTPUT, ["a.txt", "media/x.png"], [], [Alert("t", "x", "WARN")])


def read(held: Held) -> tuple[Rows, dict[Stream, list[str]]]:
    """What whoever reads the log makes of it."""
    raw = RawBatch()
    for offset, data in enumerate(records(held)):
        raw.add(offset, data)
    rows = Rows(RunIdentity("r1"))
    rows.take(Batch.of(raw))
    rows.finish()
    return rows, {stream: rows.pending[stream].lines for stream in NUMBERED}


def plain(lines: Sequence[str]) -> list[Any]:
    """Lines by what they mean; NaN equals itself here."""
    return [json.loads(line, parse_constant=str) for line in lines]


def test_every_line_comes_back():
    """History and system metrics by meaning, the console to the letter."""
    _, lines = read(HELD)
    assert plain(lines[Stream.HISTORY]) == plain(HISTORY)
    assert plain(lines[Stream.EVENTS]) == plain(EVENTS)
    assert lines[Stream.OUTPUT] == list(OUTPUT)


def test_config_summary_and_identity_come_back():
    """W&B's own part of the config too, though no record of telemetry is there to make it of."""
    rows, _ = read(HELD)
    assert json.loads(rows.config_json()) == json.loads(RUN.config)
    assert json.loads(rows.summary_json() or "") == json.loads(RUN.summary)
    told = rows.identity
    assert (told.run_id, told.project, told.entity, told.display_name) == ("r1", "demo", "", "Näme")
    assert (told.notes, told.tags, told.group, told.job_type) == ("n", ("x", "y"), "g", "train")
    assert (told.host, told.commit, told.repo) == ("node", "abc", "git@example.org:r")
    assert rows.environment.program == "train.py"
    assert rows.environment.metadata_json() is None


def test_files_and_alerts_are_named():
    """Alerts with their level, in their order."""
    rows, _ = read(HELD)
    assert list(rows.files) == ["a.txt", "media/x.png"]
    assert [(alert.title, alert.text, alert.level) for alert in rows.alerts] == [("t", "x", "WARN")]


@pytest.mark.parametrize(
    ("state", "exit_code", "told"),
    [
        ("finished", None, 0),
        ("failed", 3, 3),
        ("killed", None, 1),
        ("preempted", None, 1),
        ("running", None, None),
        ("crashed", None, None),
    ],
)
def test_only_a_run_whose_end_is_known_has_an_exit_record(state, exit_code, told):
    """A crashed one may come back, and one that runs goes on."""
    rows, _ = read(replace(HELD, state=state, run=replace(RUN, exit_code=exit_code)))
    assert (rows.exit.code if rows.exit else None) == told
    assert rows.preempting is (state == "preempted")


def test_a_run_that_has_grown_keeps_its_lines():
    """A line has one number for ever."""
    _, before = read(replace(HELD, history=HISTORY[:1], events=EVENTS[:1], output=OUTPUT[:3], state="running"))
    _, after = read(HELD)
    for stream in NUMBERED:
        assert after[stream][: len(before[stream])] == before[stream]


@pytest.mark.parametrize("text", ["", "null", "[1]", "{", "9" * 5000])
def test_what_is_no_object_has_no_members(text):
    """A store may hold what no client of today sends."""
    rows, lines = read(replace(HELD, run=replace(RUN, config=text, summary=text), events=[text]))
    assert json.loads(rows.config_json()) == {"_wandb": {"value": {"t": {}, "m": []}}}
    assert rows.summary_json() is not None
    assert len(lines[Stream.EVENTS]) == 1
