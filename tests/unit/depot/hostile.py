"""Hostile requests, drawn by Hypothesis: GraphQL documents that the schema allows, with values that nobody expects."""

from __future__ import annotations

import base64
import json
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_non_null_type,
)
from hypothesis import strategies as st

from backhaul.depot.graphql.schema import RESOLVERS

ENTITY, PROJECT, RUN = "fuzz", "p", "r1"

_HUGE = "9" * 5000


def _id(*parts: str) -> str:
    return base64.b64encode(":".join(parts).encode()).decode()


_IDS = [
    _id("Run", "v1", RUN, PROJECT, ENTITY),
    _id("Artifact", "1"),
    _id("Artifact", _HUGE),
    _id("Artifact", "9" * 19),
    _id("Artifact", "-1"),
    _id("Artifact", "\u0663"),
    _id("ArtifactCollection", "1"),
    _id("ArtifactCollection", "9" * 30),
    _id("ArtifactManifest", "1"),
    _id("ArtifactManifest", "9" * 20),
    _id("File", "v1", RUN, PROJECT, ENTITY, "../x"),
    _id("File", "v1", RUN, PROJECT, ENTITY),
    _id("Run", "v1"),
    _id("Upload", "9" * 20),
    "",
    "=",
    "AAAA",
]

_TEXTS = [
    "",
    "\0",
    "a\0b",
    "\ud800",
    "x\udfff",
    "\u202e",
    "\U0001f600",
    "..",
    "../../etc/passwd",
    "a/b",
    "a:b",
    " ",
    "\r\nX: y",
    "%s%n",
    "%00",
    "'; DROP TABLE runs; --",
    "<script>",
    "null",
    "NaN",
    "-1",
    _HUGE,
    "v" + _HUGE,
    "ds:latest",
    "ds:v" + _HUGE,
    "latest",
    "{}",
    "[]",
    "{",
    '{"keys": ["loss"], "minStep": 1e400}',
    '{"keys": ["loss"], "samples": -1, "maxStep": "x"}',
    '{"keys": [{}], "samples": 1e400}',
    '{"$or": [[], {}]}',
    '{"config.x": {"$regex": "(a+)+$"}}',
    '{"tags": {"$in": 5}}',
    '{"displayName": {"$regex": "("}}',
    '{"$and": 5}',
    '{"state": {"$gt": {}}}',
    '{"tags": {"$all": [[]]}}',
    '{"createdAt": {"$lt": NaN}}',
    '{"tags": {"$in": [{}]}}',
    '{"x": {"$not": {"$regex": 3}}}',
    "+created_at",
    "-config.\ud800",
    "%" * 40,
    "%a" * 40,
    "x" * 300,
    ENTITY,
    PROJECT,
    RUN,
    "a.txt",
    "MANIFEST_MD5",
    "finished",
    *_IDS,
]

_INTEGERS = [0, 1, -1, 2**31 - 1, -(2**31), 500]
_WIDE = [0, 1, -1, 2**53, 2**63, -(2**63) - 1, 10**30]
_FLOATS = [0.0, -1.0, 1e308, 5e-324, 2**63 * 1.0, -1e308]

texts = st.one_of(st.sampled_from(_TEXTS), st.text(max_size=20))
"""Text as an attacker chooses it; lone surrogates too."""


def _scalar(kind: GraphQLScalarType) -> st.SearchStrategy[Any]:
    numbers = {"Int": st.sampled_from(_INTEGERS), "Float": st.sampled_from(_FLOATS), "Boolean": st.booleans()}
    if kind.name in numbers:
        return numbers[kind.name]
    wide = st.sampled_from(_WIDE)
    if kind.name in ("String", "ID"):
        return texts
    return (
        st.one_of(texts, wide, st.sampled_from([[], {}, True, 1.5])) if kind.name != "Int64" else st.one_of(wide, texts)
    )


def values(kind: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values for an argument or input field of that type."""
    if is_non_null_type(kind):
        return values(kind.of_type, depth)
    return st.one_of(st.none(), _present(kind, depth)) if depth else _present(kind, depth)


def _present(kind: Any, depth: int) -> st.SearchStrategy[Any]:
    if is_non_null_type(kind):
        return _present(kind.of_type, depth)
    if isinstance(kind, GraphQLList):
        return st.lists(_present(kind.of_type, depth + 1), max_size=3)
    if isinstance(kind, GraphQLEnumType):
        return st.sampled_from(sorted(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        given = {name: values(field.type, depth + 1) for name, field in kind.fields.items() if depth < 3}
        needed = {name: _present(kind.fields[name].type, depth + 1) for name in given if _needed(kind.fields[name])}
        return st.fixed_dictionaries(needed, optional={name: given[name] for name in given if name not in needed})
    return _scalar(kind)


def _needed(field: GraphQLInputField | GraphQLArgument) -> bool:
    return is_non_null_type(field.type)


@st.composite
def documents(draw: st.DrawFn, schema: GraphQLSchema) -> dict[str, Any]:
    """A request body: one root field that the depot answers, its arguments as variables, some fields below it."""
    root = draw(st.sampled_from([schema.query_type, schema.mutation_type]))
    assert root is not None
    name = draw(st.sampled_from(sorted(RESOLVERS[root.name])))
    variables: dict[str, Any] = {}
    declared: list[str] = []
    below = _field(draw, root, name, variables, declared, 0)
    word = "query" if root is schema.query_type else "mutation"
    head = f"({', '.join(declared)})" if declared else ""
    return {"query": f"{word} Q{head} {{ {below} }}", "variables": variables}


def _field(draw: st.DrawFn, parent: Any, name: str, variables: dict[str, Any], declared: list[str], depth: int) -> str:
    field = parent.fields[name]
    given = []
    for argument, definition in field.args.items():
        if _needed(definition) or draw(st.booleans()):
            variable = f"v{len(variables)}"
            variables[variable] = draw(_argument(argument, definition.type))
            declared.append(f"${variable}: {definition.type}")
            given.append(f"{argument}: ${variable}")
    arguments = f"({', '.join(given)})" if given else ""
    return f"{name}{arguments}{_selection(draw, get_named_type(field.type), variables, declared, depth + 1)}"


def _argument(name: str, kind: Any) -> st.SearchStrategy[Any]:
    """Often the names of things that are there, so that what lies below is reached."""
    known = {"entityName": ENTITY, "projectName": PROJECT, "modelName": PROJECT, "runName": RUN}
    if name == "name":
        return st.one_of(st.sampled_from([PROJECT, RUN, "ds:latest", "ds", ENTITY]), values(kind))
    return st.one_of(st.just(known[name]), values(kind)) if name in known else values(kind)


def _selection(draw: st.DrawFn, kind: Any, variables: dict[str, Any], declared: list[str], depth: int) -> str:
    if is_leaf_type(kind):
        return ""
    if not isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType)) or isinstance(kind, GraphQLUnionType):
        return " { __typename }"
    leaves = [name for name, field in kind.fields.items() if is_leaf_type(get_named_type(field.type))]
    inner = [name for name in kind.fields if name not in leaves]
    chosen = draw(st.lists(st.sampled_from(leaves), unique=True, max_size=6)) if leaves else []
    if depth < 7 and inner:
        chosen += draw(st.lists(st.sampled_from(inner), unique=True, max_size=2))
    selected = [_field(draw, kind, name, variables, declared, depth) for name in chosen]
    return f" {{ __typename {' '.join(selected)} }}"


_nested = st.recursive(
    st.one_of(st.none(), st.booleans(), st.sampled_from([*_WIDE, *_FLOATS]), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)

_streams = st.one_of(
    st.sampled_from(["wandb-history.jsonl", "wandb-events.jsonl", "wandb-summary.json", "output.log"]), texts
)
_parts = st.one_of(
    _nested,
    st.fixed_dictionaries(
        {
            "offset": st.one_of(st.sampled_from(_WIDE), _nested),
            "content": st.one_of(st.lists(_nested, max_size=4), _nested),
        }
    ),
)
deliveries = st.one_of(
    _nested,
    st.fixed_dictionaries(
        {},
        optional={
            "files": st.one_of(st.dictionaries(_streams, _parts, max_size=3), _nested),
            "complete": _nested, "exitcode": _nested, "preempting": _nested, "uploaded": _nested, "dropped": _nested,
        },
    ),
)  # fmt: skip
"""Bodies of `file_stream`, from nearly right to any JSON."""

bodies = st.one_of(
    st.binary(max_size=200),
    deliveries.map(lambda body: json.dumps(body).encode()),
    st.sampled_from(
        [b"[" * 100_000, b'{"a":' * 50_000, b"\x1f\x8b" + b"\0" * 30, b"\xff\xfe{\0}\0", b"nul", b"1e999", b'"\\ud800"']
    ),
)
"""Request bodies, from nearly right to noise."""


_FIELDS = ["state", "tags", "display_name", "createdAt", "config.lr", "config.lr.value", "config.", "config._wandb.x",
           "summary_metrics.loss", "summary_metrics.", "user.username", "nobody", "", "sweep"]  # fmt: skip
_OPERATORS = ["$and", "$or", "$nor", "$not", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists",
              "$regex", "$what"]  # fmt: skip
_operands = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.sampled_from([1 << 70, _HUGE]))

_conditions = st.recursive(
    _operands,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(_FIELDS + _OPERATORS), inner, max_size=3),
    ),
    max_leaves=8,
)

filters = st.dictionaries(
    st.sampled_from(_FIELDS + _OPERATORS), st.one_of(_operands, _conditions), min_size=1, max_size=2
)
"""What may stand in the filters of a list of runs, operators where fields should be and the other way round."""

orders = st.one_of(st.none(), st.builds(str.__add__, st.sampled_from(["+", "-", ""]), st.sampled_from(_FIELDS)), texts)
