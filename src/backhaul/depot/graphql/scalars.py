"""What clients may give for the scalars that GraphQL does not know itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import GraphQLError, GraphQLScalarType, GraphQLSchema

from backhaul.depot import numbers

_MOST = 1 << 63


def _json_text(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"JSONString cannot represent {str(value)[:200]!r}: it is a text that holds JSON")
    return value


def _whole(value: Any) -> int:
    """A number of 64 bits; as text too, because JSON readers of some clients hold only 53."""
    number = numbers.whole(value) if isinstance(value, str) else value
    if not isinstance(number, int) or isinstance(number, bool) or not -_MOST <= number < _MOST:
        raise GraphQLError(f"Int64 cannot represent {str(value)[:200]!r}")
    return number


_PARSERS: dict[str, Callable[[Any], Any]] = {"JSONString": _json_text, "Int64": _whole}


def check_inputs(schema: GraphQLSchema) -> None:
    """From now on the schema refuses other values for its scalars: 400, in the words of GraphQL."""
    for name, parse in _PARSERS.items():
        kind = schema.get_type(name)
        if isinstance(kind, GraphQLScalarType):
            kind.coerce_input_value = parse
