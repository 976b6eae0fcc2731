"""Text that came out of a run, made fit for a terminal."""

from __future__ import annotations

import re

from rich.markup import escape

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def visible(text: str) -> str:
    """Control characters as pictures of themselves: a name must not steer the terminal of whoever looks at it."""
    return _CONTROL.sub(lambda match: chr(0x2400 + ord(match[0])) if match[0] < " " else "\ufffd", text)


def shown(text: object) -> str:
    """The same as markup, for a console that reads what it prints as such."""
    return escape(visible(str(text)))
