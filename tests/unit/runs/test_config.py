"""The config: set, changed and removed in order, and W&B's own part beside it."""

from __future__ import annotations

import json
from typing import Any

import yaml

from backhaul.runs.config import Config
from backhaul.runs.environment import Environment
from backhaul.runs.metrics import MetricDefinitions
from backhaul.runs.telemetry import Telemetry
from backhaul.wandblog.schema import EnvironmentRecord, Record


def _apply(config: Config, *updates: tuple[list[str] | str, str], remove: tuple[list[str] | str, ...] = ()) -> None:
    record = Record().config
    for path, value in updates:
        _fill(record.update.add(value_json=value.encode()), path)
    for path in remove:
        _fill(record.remove.add(), path)
    config.apply(record)


def _fill(item: Any, path: list[str] | str) -> None:
    if isinstance(path, str):
        item.key = path
    else:
        item.nested_key.extend(path)


def _values(config: Config) -> dict[str, Any]:
    text = config.to_json(Telemetry(), MetricDefinitions(), Environment())
    return {key: entry["value"] for key, entry in json.loads(text).items() if key != "_wandb"}


def test_later_values_replace_earlier_ones() -> None:
    """By key and by path, one level or deep."""
    config = Config()
    _apply(config, ("lr", "0.1"), ("opt", '{"name":"adam","betas":[0.9,0.999]}'))
    _apply(config, ("lr", "1e-4"), (["opt", "name"], '"sgd"'))
    assert _values(config) == {"lr": 1e-4, "opt": {"name": "sgd", "betas": [0.9, 0.999]}}


def test_an_object_is_merged_into_what_is_there() -> None:
    """As the Go engine does with a whole object; an empty one leaves the others' keys."""
    config = Config()
    _apply(config, ("opt", '{"a":1,"b":{"c":2}}'))
    _apply(config, ("opt", '{"b":{"d":3}}'), ("opt", "{}"), ("new", "{}"))
    assert _values(config) == {"opt": {"a": 1, "b": {"c": 2, "d": 3}}, "new": {}}


def test_a_plain_value_and_an_object_replace_each_other() -> None:
    """There is one value at a path."""
    config = Config()
    _apply(config, ("x", "1"))
    _apply(config, ("x", '{"a":1}'))
    assert _values(config) == {"x": {"a": 1}}
    _apply(config, ("x", "null"))
    assert _values(config) == {"x": None}


def test_removals_come_after_the_updates_of_their_record() -> None:
    """A missing key is no error."""
    config = Config()
    _apply(config, ("a", "1"), ("b", '{"c":1,"d":2}'), remove=("a", ["b", "c"], ["no", "such"], "none"))
    assert _values(config) == {"b": {"d": 2}}


def test_what_no_server_takes_is_passed_over_and_told_by_name() -> None:
    """What is no JSON, or nested too deep, however that is written; the rest of the config is kept."""
    config = Config()
    _apply(config, ("bad", "oops"), ("good", "1"), ("deep", "[" * 600 + "]" * 600), (["a", *["k"] * 100_000], "1"))
    assert _values(config) == {"good": 1}
    told = {item.what: item.reason for item in config.set_aside()}
    assert list(told)[:2] == ["config value bad", "config value deep"]
    assert list(told)[2].startswith("config value a.k.k.k")
    assert max(map(len, told)) < 300
    assert set(told.values()) == {"it is not JSON, or nested too deep; all others are sent"}


def test_what_was_passed_over_is_not_told_once_it_is_set_again_or_removed() -> None:
    """Nor when a plain value takes the place of all around it; other members of the same object change nothing."""
    config = Config()
    _apply(config, ("set", "oops"), ("gone", "oops"), (["in", "side"], "oops"), (["a", "b"], "oops"))
    _apply(config, ("set", "1"), ("in", "2"), ("a", '{"c":1}'), remove=("gone", "never"))
    assert [item.what for item in config.set_aside()] == ["config value a.b"]
    restored = Config()
    restored.restore(json.loads(json.dumps(config.state())))
    assert restored.set_aside() == config.set_aside()
    _apply(restored, remove=("a",))
    assert restored.set_aside() == []


def test_numbers_and_keys_are_kept_as_they_are_written() -> None:
    """Inside of objects, too: 1e-7 does not become 1.0000000000000001e-07, and a dot is no path."""
    config = Config()
    _apply(config, ("a.b", "1e-7"), ("größe", '{"x":1.10,"n":[1.0,{"y":1e5}]}'))
    text = config.to_json(Telemetry(), MetricDefinitions(), Environment())
    assert '"a.b":{"value":1e-7}' in text
    assert '"größe":{"value":{"x":1.10,"n":[1.0,{"y":1e5}]}}' in text


def test_the_internal_part_is_put_beside_what_the_script_set() -> None:
    """Versions, telemetry, metrics and environment under `_wandb`; what stands there already stays."""
    config, telemetry, metrics, environment = Config(), Telemetry(), MetricDefinitions(), Environment()
    _apply(config, ("_wandb", '{"code_path":"code/train.py"}'), ("lr", "1"))
    telemetry.apply(b"\x22\x043.11\x2a\x060.31.0\x1a\x02\x08\x01")
    metric = Record().metric
    metric.name = "loss"
    metrics.apply(metric)
    environment.apply(EnvironmentRecord(os="Linux", writer_id="w1", cpu_count=4).SerializeToString())
    internal = json.loads(config.to_json(telemetry, metrics, environment))["_wandb"]["value"]
    assert internal == {
        "code_path": "code/train.py",
        "cli_version": "0.31.0",
        "python_version": "3.11",
        "t": {"3": [1], "4": "3.11", "5": "0.31.0"},
        "m": [{"1": "loss", "6": [3], "7": []}],
        "e": {"w1": {"os": "Linux", "cpu_count": 4, "writerId": "w1"}},
    }


def test_the_yaml_says_the_same() -> None:
    """`config.yaml` is the same content, keys in order."""
    config = Config()
    _apply(config, ("b", "[1,2]"), ("a", '"grüße: #1"'))
    content = config.to_yaml(Telemetry(), MetricDefinitions(), Environment())
    assert yaml.safe_load(content) == json.loads(config.to_json(Telemetry(), MetricDefinitions(), Environment()))
    assert content.decode().index("\na:") < content.decode().index("\nb:")
    assert "grüße" in content.decode()
