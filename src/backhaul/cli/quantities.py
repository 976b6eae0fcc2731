"""Numbers with units, as people write them on a command line."""

from __future__ import annotations

import re

import click

_SIZE = re.compile(r"(\d+)(?:\.(\d+))?\s*([KMGT]?)(?:I?B)?", re.IGNORECASE)
_UNIT = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class _Bytes(click.ParamType[int]):
    """A number of bytes: 500K, 2M, 1.5GiB. Units are powers of 1024."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no size; write 500K, 20M or 2G.", param, ctx)
        # In whole numbers: a size may have more digits than a floating point number holds.
        whole, part = match[1], match[2] or ""
        scale: int = 10 ** len(part)
        return int(whole + part) * _UNIT[match[3].upper()] // scale


BYTES = _Bytes()
