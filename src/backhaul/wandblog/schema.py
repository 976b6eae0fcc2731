"""The message classes of the log, made from the compiled schema when they are first needed.

The descriptor is loaded into a pool of its own, so that it never meets wandb's own classes in one process, and without
generated code, so that every protobuf release that wandb itself allows (5 to 7) serves.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

__all__ = [
    "AlertRecord",
    "ArtifactRecord",
    "DecodeError",
    "EnvironmentRecord",
    "HistoryRecord",
    "Record",
    "SummaryRecord",
]


def _load_pool() -> descriptor_pool.DescriptorPool:
    descriptors = descriptor_pb2.FileDescriptorSet.FromString(files(__package__).joinpath("schema.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _load_pool()


# `Any`: the classes exist only at run time; schema.proto is where their fields are told.
def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"backhaul.wandblog.{name}"))


Record = _message("Record")
SummaryRecord = _message("SummaryRecord")
HistoryRecord = _message("HistoryRecord")
EnvironmentRecord = _message("EnvironmentRecord")
ArtifactRecord = _message("ArtifactRecord")
AlertRecord = _message("AlertRecord")
