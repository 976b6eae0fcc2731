"""The run's config: config records and W&B's own part of it → the `config` of UpsertBucket and `config.yaml`."""

from __future__ import annotations

import json
from typing import Any

from backhaul.runs.environment import Environment
from backhaul.runs.keytree import (
    Tree,
    encode_key,
    is_json,
    is_object,
    merge_value,
    plain_members,
    plain_tree,
    remove_value,
    set_value,
    to_json,
    tree_of,
    with_earlier,
)
from backhaul.runs.metrics import MetricDefinitions
from backhaul.runs.set_aside import NO_VALUE, SetAside, name_of
from backhaul.runs.table import Path
from backhaul.runs.telemetry import Telemetry
from backhaul.wandblog.state import State


class Config:
    """Takes the config of the run record and the config records in order."""

    def __init__(self) -> None:
        self._tree: Tree = {}
        self._earlier: Tree = {}
        self._passed_over: dict[Path, None] = {}

    def go_on_from(self, earlier: str) -> None:
        """Keep, of a config as UpsertBucket has it, the user's keys that the log does not set: an earlier part's."""
        for key, entry in plain_members(earlier).items():
            if key != "_wandb" and isinstance(entry, dict) and "value" in entry:
                self._earlier[key] = json.dumps(entry["value"], ensure_ascii=False).encode()

    def state(self) -> State:
        """What was taken so far of this log."""
        return {"tree": plain_tree(self._tree), "passed_over": list(map(list, self._passed_over))}

    def restore(self, state: State) -> None:
        """Go on from a `state()`."""
        self._tree = tree_of(state["tree"])
        self._passed_over = dict.fromkeys(map(tuple, state["passed_over"]))

    def apply(self, config: Any) -> None:
        """Take one ConfigRecord: updates (objects are merged), then removals.

        What is not JSON, or nested too deep, is passed over, and told in `set_aside`.
        """
        for item in config.update:
            path = tuple(item.nested_key) or (item.key,)
            if is_json(item.value_json, len(path)):
                merge_value(self._tree, path, item.value_json)
                self._is_moot(path, with_all_below=not is_object(item.value_json))
            else:
                self._passed_over[path] = None
        for item in config.remove:
            path = tuple(item.nested_key) or (item.key,)
            remove_value(self._tree, path)
            self._is_moot(path, with_all_below=True)

    def _is_moot(self, path: Path, *, with_all_below: bool) -> None:
        """What was passed over at `path` has been set again, or removed."""
        for each in list(self._passed_over):
            if each == path or (with_all_below and each[: len(path)] == path):
                del self._passed_over[each]

    def set_aside(self) -> list[SetAside]:
        """The values that were passed over, but for those that a later record set or removed."""
        reason = f"{NO_VALUE}; all others are sent"
        return [SetAside(f"config value {name_of(path)}", reason) for path in self._passed_over]

    def to_json(self, telemetry: Telemetry, metrics: MetricDefinitions, environment: Environment) -> str:
        """The whole config as UpsertBucket takes it: `{"key": {"value": …}, …, "_wandb": {"value": {…}}}`."""
        whole = with_earlier(self._with_internal(telemetry, metrics, environment), self._earlier)
        members = (encode_key(key) + b':{"value":' + _raw(value) + b"}" for key, value in whole.items())
        return (b"{" + b",".join(members) + b"}").decode()

    def to_yaml(self, telemetry: Telemetry, metrics: MetricDefinitions, environment: Environment) -> bytes:
        """The content of `config.yaml`: the same, as YAML, keys sorted."""
        # Only now: who asks where runs stand, or sends one whose config is there, needs none of it.
        import yaml

        content = json.loads(self.to_json(telemetry, metrics, environment))
        # libyaml's writer, which most installations of PyYAML have, needs a tenth of the time.
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        return yaml.dump(content, Dumper=dumper, sort_keys=True, indent=4, allow_unicode=True, encoding="utf-8")

    def _with_internal(self, telemetry: Telemetry, metrics: MetricDefinitions, environment: Environment) -> Tree:
        """The tree, and in it what W&B keeps for itself."""
        values: dict[str, Any] = {
            "cli_version": telemetry.cli_version or None,
            "python_version": telemetry.python_version or None,
            "t": telemetry.config_value(),
            "m": metrics.config_value(),
            "e": environment.config_value(),
        }
        tree, recorded = dict(self._tree), self._tree.get("_wandb")
        if isinstance(recorded, dict):
            tree["_wandb"] = dict(recorded)
        for key, value in values.items():
            # A log that was made of what a server holds has these in its config already, and no records for them.
            if value or (value is not None and not (isinstance(recorded, dict) and key in recorded)):
                set_value(tree, ("_wandb", key), json.dumps(value, ensure_ascii=False).encode())
        return tree


def _raw(value: Any) -> bytes:
    return to_json(value) if isinstance(value, dict) else bytes(value)
