"""What a sync would do, said without the network."""

from __future__ import annotations

from pathlib import Path

from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import inspect
from backhaul.sync.destination import Destination
from backhaul.sync.plan import plan_fragment
from backhaul.wandblog import LogReader, LogWriter
from backhaul.wandblog.schema import ArtifactRecord, Record

from ...command import copy_of, log_of


def test_the_artifacts_to_send_are_counted(tmp_path: Path) -> None:
    """As are lines and files."""
    run = copy_of("0.31.0", tmp_path)
    log = log_of(run)
    records = [record.data for record in LogReader(log)]
    artifact = Record(artifact=ArtifactRecord(type="model", name="weights"))
    artifact.num = len(records)
    with log.open("wb") as file:
        writer = LogWriter(file)
        for data in (*records[:-1], artifact.SerializeToString(), records[-1]):
            writer.write(data)
    planned = plan_fragment(inspect(RunDirectory(run, log)), Destination("http://there"), tmp_path / "state")
    assert (planned.artifacts_local, planned.artifacts_remote) == (1, 0)
