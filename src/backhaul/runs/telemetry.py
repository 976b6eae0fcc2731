"""Telemetry records → the object under `_wandb.t` of the config.

The object has a member per field, named by the field's number: a text as it is, a message of booleans as the list
of the numbers that are set, the label (9) as an object of texts. SDKs add features in every release, so the bytes are
walked field by field instead of through a schema. Source: SDK 0.31, corelib and the recorded traffic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_PYTHON_VERSION, _CLI_VERSION = 4, 5
_IMPORTS_INIT, _IMPORTS_FINISH, _FEATURE, _ENV, _LABEL, _DEPRECATED = 1, 2, 3, 8, 9, 10
_FLAGS = frozenset({_IMPORTS_INIT, _IMPORTS_FINISH, _FEATURE, _ENV, _DEPRECATED})
_TEXTS = frozenset({_PYTHON_VERSION, _CLI_VERSION, 6, 12, 13})
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


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

    def apply(self, data: bytes) -> None:
        """Take the bytes of one TelemetryRecord. Fields of another shape than expected are passed over."""
        for number, value in _fields(data):
            if not isinstance(value, bytes):
                continue
            if number in _FLAGS:
                flags = {flag for flag, is_set in _fields(value) if is_set == 1}
                self._flags.setdefault(number, set()).update(flags)
            elif number in _TEXTS:
                self._texts[number] = value.decode(errors="replace") or self._texts.get(number, "")
            elif number == _LABEL:
                texts = {str(part): text for part, text in _fields(value) if isinstance(text, bytes)}
                self._label |= {part: text.decode(errors="replace") for part, text in texts.items()}

    def config_value(self) -> dict[str, Any]:
        """The object for `_wandb.t`."""
        members: dict[int, Any] = {number: sorted(flags) for number, flags in self._flags.items() if flags}
        members.update({number: text for number, text in self._texts.items() if text})
        if self._label:
            members[_LABEL] = self._label
        return {str(number): members[number] for number in sorted(members)}


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: number, and the varint or the bytes. Ends at the first byte that is none."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        value: int | bytes
        match tag & 7:
            case 0:
                value, position = _varint(data, position)
            case 2:
                length, position = _varint(data, position)
                value, position = data[position : position + length], position + length
            case 1:
                value, position = data[position : position + 8], position + 8
            case 5:
                value, position = data[position : position + 4], position + 4
            case _:
                return
        yield tag >> 3, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return value, position
