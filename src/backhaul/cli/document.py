"""The document that a command prints for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping


def print_document(document: Mapping[str, object]) -> None:
    """Print it as JSON, on one line of standard output.

    Its letters stand as they are where standard output takes them all; else everything is in JSON's own escapes, which
    mean the same to whoever reads it.
    """
    text = json.dumps(document, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(document)
    print(text)
