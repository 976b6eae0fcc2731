"""The compiled schema is the written one."""

from __future__ import annotations

import subprocess
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor as Field
from wandb.proto import wandb_internal_pb2 as official

from backhaul.wandblog import schema

_SAME_ON_THE_WIRE = (
    {Field.TYPE_BYTES, Field.TYPE_STRING, Field.TYPE_MESSAGE},
    {Field.TYPE_INT32, Field.TYPE_ENUM},
)
_COMPARED = [
    "Record",
    "HeaderRecord",
    "VersionInfo",
    "RunRecord",
    "GitRepoRecord",
    "BranchPoint",
    "ConfigRecord",
    "SummaryRecord",
    "HistoryRecord",
    "HistoryStep",
    "HistoryItem",
    "OutputRecord",
    "OutputLoggerRecord",
    "StatsRecord",
    "StatsItem",
    "FilesRecord",
    "FilesItem",
    "AlertRecord",
    "MetricRecord",
    "MetricOptions",
    "MetricSummary",
    "MetricControl",
    "RunExitRecord",
    "ArtifactRecord",
    "ArtifactManifest",
    "ArtifactManifestEntry",
    "EnvironmentRecord",
    "DiskInfo",
    "MemoryInfo",
    "CpuInfo",
    "AppleInfo",
    "GpuNvidiaInfo",
    "GpuAmdInfo",
]
_ROOT = Path(__file__).parents[3]


def test_the_compiled_schema_equals_the_written_one(tmp_path: Path) -> None:
    """`scripts/compile-schema` makes what is committed."""
    made = tmp_path / "schema.binpb"
    subprocess.run([_ROOT / "scripts" / "compile-schema", made], check=True)
    committed = _ROOT / "src" / "backhaul" / "wandblog" / "schema.binpb"
    assert descriptor_pb2.FileDescriptorSet.FromString(made.read_bytes()) == (
        descriptor_pb2.FileDescriptorSet.FromString(committed.read_bytes())
    )


def test_field_numbers_and_types_are_those_of_the_official_schema() -> None:
    """Every field that is named here as there has its number there, and its form on the wire."""
    ours, theirs = schema.Record.DESCRIPTOR.file.message_types_by_name, official.DESCRIPTOR.message_types_by_name
    compared = 0
    for name in _COMPARED:
        for field in ours[name].fields:
            other = theirs[name].fields_by_name.get(field.name)
            if other is not None:
                compared += 1
                assert field.number == other.number, (name, field.name)
                same = {field.type, other.type}
                assert len(same) == 1 or any(same <= forms for forms in _SAME_ON_THE_WIRE), (name, field.name)
    # MetricRecord.control is `_control` there, and a few names were changed between releases.
    assert compared >= sum(len(ours[name].fields) for name in _COMPARED) - 4
