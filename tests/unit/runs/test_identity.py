"""Who a run is, when several of its records say so."""

from __future__ import annotations

from typing import Any

import pytest

from backhaul.runs.identity import RunIdentity
from backhaul.runs.rows import Rows
from backhaul.wandblog.schema import Record


def _run(**fields: Any) -> Any:
    return Record(run=fields).run


@pytest.mark.parametrize("project", ["p", ""])
def test_id_and_start_are_those_of_the_first_record_and_the_rest_of_the_last(project: str) -> None:
    """Also of a run that names no project; what a later record leaves out of host, commit and sweep stays."""
    rows = Rows(RunIdentity("by-the-file-name"))
    rows._take_run(_run(run_id="a", project=project, host="node07", display_name="first", start_time={"seconds": 5}))
    rows._take_run(_run(run_id="b", project="later", display_name="second", start_time={"seconds": 9}))
    found = rows.identity
    assert (found.run_id, found.start_seconds, found.host, found.display_name) == ("a", 5, "node07", "second")
    assert found.project == (project or "later")
