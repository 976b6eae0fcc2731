"""Telemetry records → the object under `_wandb.t` of the config.

The object has a member per field, named by the field's number: a text as it is, a message of booleans as the list
of the numbers that are set, the label (9) as an object of texts. SDKs add features in every release, so the bytes are
walked field by field instead of through a schema. Source: SDK 0.31, corelib and the recorded traffic.
"""

from __future__ import annotations

from typing import Any

from backhaul.wandblog.fields import fields
from backhaul.wandblog.state import State

_PYTHON_VERSION, _CLI_VERSION = 4, 5
_IMPORTS_INIT, _IMPORTS_FINISH, _FEATURE, _ENV, _LABEL, _DEPRECATED = 1, 2, 3, 8, 9, 10
_FLAGS = frozenset({_IMPORTS_INIT, _IMPORTS_FINISH, _FEATURE, _ENV, _DEPRECATED})
_TEXTS = frozenset({_PYTHON_VERSION, _CLI_VERSION, 6, 12, 13})


class Telemetry:
    """The telemetry of a run so far: flags are joined, the last text of a field stands."""

    def __init__(self) -> None:
        self._flags: dict[int, set[int]] = {}
        self._texts: dict[int, str] = {}
        self._label: dict[str, str] = {}

    @property
    def python_version(self) -> str:
        """The Python that recorded the run, or an empty text."""
        return self._texts.get(_PYTHON_VERSION, "")

    @property
    def cli_version(self) -> str:
        """The SDK that recorded the run, or an empty text."""
        return self._texts.get(_CLI_VERSION, "")

    def state(self) -> State:
        """What was taken so far."""
        flags = {str(number): sorted(flags) for number, flags in self._flags.items()}
        texts = {str(number): text for number, text in self._texts.items()}
        return {"flags": flags, "texts": texts, "label": dict(self._label)}

    def restore(self, state: State) -> None:
        """Go on from a `state()`."""
        self._flags = {int(number): set(flags) for number, flags in state["flags"].items()}
        self._texts = {int(number): text for number, text in state["texts"].items()}
        self._label = dict(state["label"])

    def apply(self, data: bytes) -> None:
        """Take the bytes of one TelemetryRecord. Fields of another shape than expected are passed over."""
        for number, value in fields(data):
            if not isinstance(value, bytes):
                continue
            if number in _FLAGS:
                flags = {flag for flag, is_set in fields(value) if is_set == 1}
                self._flags.setdefault(number, set()).update(flags)
            elif number in _TEXTS:
                self._texts[number] = value.decode(errors="replace") or self._texts.get(number, "")
            elif number == _LABEL:
                texts = {str(part): text for part, text in fields(value) if isinstance(text, bytes)}
                self._label |= {part: text.decode(errors="replace") for part, text in texts.items()}

    def config_value(self) -> dict[str, Any]:
        """The object for `_wandb.t`."""
        members: dict[int, Any] = {number: sorted(flags) for number, flags in self._flags.items() if flags}
        members.update({number: text for number, text in self._texts.items() if text})
        if self._label:
            members[_LABEL] = self._label
        return {str(number): members[number] for number in sorted(members)}
