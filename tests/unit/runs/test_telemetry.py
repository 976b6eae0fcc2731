"""Telemetry: bytes of any release, walked field by field."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from wandb.proto import wandb_telemetry_pb2 as official

from backhaul.runs.telemetry import Telemetry


def _of(*records: bytes) -> Telemetry:
    telemetry = Telemetry()
    for record in records:
        telemetry.apply(record)
    return telemetry


def test_the_sdk_s_own_record_is_told_by_field_numbers() -> None:
    """Flags become the numbers that are set, texts stay, the label is an object."""
    record = official.TelemetryRecord(python_version="3.12.1", cli_version="0.31.0", core_version="0.31.0")
    record.feature.watch = True
    record.feature.finish = True
    record.imports_init.torch = True
    record.env.jupyter = True
    record.label.code_string = "code"
    numbers = official.Feature.DESCRIPTOR.fields_by_name
    value = _of(record.SerializeToString()).config_value()
    assert value["3"] == sorted([numbers["watch"].number, numbers["finish"].number])
    assert value["1"] == [official.Imports.DESCRIPTOR.fields_by_name["torch"].number]
    assert value["8"] == [official.Env.DESCRIPTOR.fields_by_name["jupyter"].number]
    assert (value["4"], value["5"], value["9"], value["12"]) == ("3.12.1", "0.31.0", {"1": "code"}, "0.31.0")


def test_flags_are_joined_and_the_last_text_stands() -> None:
    """Every record repeats what was known; an empty text takes nothing away."""
    one = official.TelemetryRecord(cli_version="0.1", python_version="3.8")
    one.feature.watch = True
    two = official.TelemetryRecord(cli_version="0.2")
    two.feature.finish = True
    telemetry = _of(one.SerializeToString(), two.SerializeToString(), b"\x22\x00")
    numbers = official.Feature.DESCRIPTOR.fields_by_name
    assert telemetry.config_value()["3"] == sorted([numbers["watch"].number, numbers["finish"].number])
    assert (telemetry.cli_version, telemetry.python_version) == ("0.2", "3.8")


def test_a_feature_that_is_not_known_yet_is_told() -> None:
    """Numbers need no names."""
    assert _of(b"\x1a\x05\xf8\x3e\x01\x08\x00").config_value() == {"3": [1007]}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_taken(data: bytes) -> None:
    """No record of a future release stops a run."""
    value = _of(data).config_value()
    assert all(key.isdigit() for key in value)
