"""Items of history and summary records: usual ones, and such as look like the wire, like JSON, or like each other."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

Item = tuple[list[str], str]

_labels = st.one_of(
    st.sampled_from(
        ["a", "b", "loss", "_step", "_runtime", "dot.key", "", "é", 'quo"te', "back\\slash", "a,b", "{", "1"]
    ),
    st.sampled_from(["x" * 10, "x" * 18, "x" * 127, "x" * 128, "x" * 130, "x" * 300, "\x12\x01a", "\x82\x01", "\n"]),
    st.text(max_size=12),
)
_numbers = st.one_of(st.integers(), st.floats(), st.integers(-5, 20)).map(json.dumps)
_values = st.one_of(
    _numbers,
    st.sampled_from(["null", "true", "NaN", "-Infinity", "1e5", "1E+5", "0.10", "-0", "01", "1.", ".5", "-", "", " 1"]),
    st.sampled_from(
        ["Infinity", "[1,2]", "[]", "{}", '{"k":1}', '{"k":{"l":2}}', '"x\\"y"', '","', '":', '1,"b":2', "nope"]
    ),
    st.sampled_from(
        ["9" * 100, "9" * 130, '"' + "v" * 125 + '"', '"' + "v" * 126 + '"', '"' + "v" * 200 + '"', '"\n"']
    ),
    st.text(max_size=15).map(json.dumps),
    st.text(max_size=15).map(lambda text: json.dumps(text, ensure_ascii=False)),
)
ITEMS: st.SearchStrategy[Item] = st.tuples(st.lists(_labels, min_size=1, max_size=3), _values)
FLAT_ITEMS: st.SearchStrategy[Item] = st.tuples(st.lists(_labels, min_size=1, max_size=1), _values)


def fill(target: Any, path: list[str], value: str, *, by_key: bool) -> None:
    """Put an item into a history or summary record."""
    if by_key and len(path) == 1:
        target.key = path[0]
    else:
        target.nested_key.extend(path)
    target.value_json = value.encode()
