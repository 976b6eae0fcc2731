"""A part of a run that goes on: what an earlier part has set stays, unless this one sets it anew."""

from __future__ import annotations

import json

from backhaul.runs.identity import RunIdentity
from backhaul.runs.rows import Rows
from backhaul.wandblog.schema import Record, SummaryRecord


def _rows(config: str, summary: str) -> Rows:
    rows = Rows(RunIdentity("run-a"))
    rows.go_on_from(config, summary)
    update = Record().config
    update.update.add(key="lr", value_json=b"0.5")
    rows._take_config(update)
    logged = SummaryRecord()
    logged.update.add(key="loss", value_json=b"1")
    rows._take_summary(logged.SerializeToString())
    rows.finish()
    return rows


def test_keys_of_an_earlier_part_stay() -> None:
    """Whole top-level keys; what W&B keeps for itself under `_wandb` is each part's own."""
    rows = _rows(
        '{"lr": {"value": 1}, "z": {"value": [1, null]}, "a": {"value": "ö"}, "_wandb": {"value": {"old": 1}}}',
        '{"loss": 9, "acc": {"max": 1}}',
    )
    config = {key: entry["value"] for key, entry in json.loads(rows.config_json()).items()}
    assert config.pop("_wandb").keys() & {"old"} == set()
    assert config == {"lr": 0.5, "a": "ö", "z": [1, None]}
    assert list(config) == ["lr", "a", "z"]
    assert b"\xc3\xb6" in rows.config_yaml()
    assert json.loads(rows.summary_json() or "") == {"loss": 1, "acc": {"max": 1}}


def test_what_this_part_has_removed_does_not_come_back() -> None:
    """`del run.summary["a"]`, a member of an object, and None in a value's place, also after a restart in between."""
    earlier = '{"gone": 1, "nulled": 2, "object": {"gone": 1, "kept": 2}, "again": 1, "kept": 3}'
    rows = _rows("{}", "{}")
    changes = SummaryRecord()
    changes.update.add(key="nulled", value_json=b"null")
    for path in (["gone"], ["object", "gone"], ["again"], ["never", "there"]):
        changes.remove.add(nested_key=path)
    rows._take_summary(changes.SerializeToString())
    again = SummaryRecord()
    again.update.add(key="again", value_json=b"5")
    rows._take_summary(again.SerializeToString())
    restored = Rows(RunIdentity("run-a"))
    rows.summary_json()
    restored.restore(json.loads(json.dumps(rows.state())))
    for each in (rows, restored):
        each.go_on_from("{}", earlier)
        assert json.loads(each.summary_json() or "") == {"loss": 1, "object": {"kept": 2}, "again": 5, "kept": 3}


def test_a_server_that_says_something_else_takes_nothing_away() -> None:
    """What is no JSON object tells of no earlier part."""
    rows = _rows("[]", "nonsense")
    assert json.loads(rows.summary_json() or "") == {"loss": 1}
