"""Input types and enums that a release defines in generated code, because a document names them only.

A document that sends `$input` shows no field of it. The client's generated Go and Python do: their structs and classes
are the input types as the generator found them in W&B's own schema.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .sources import Release

_GO_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_GO_FIELD = re.compile(r'`json:"(\w+)')
_GO_CONSTANT = re.compile(r'^\s+\w+\s+([A-Z]\w+)\s+=\s+"(\w+)"$', re.MULTILINE)


def defined_members(release: Release) -> set[str]:
    """The members of input types and enums in generated code, as ``Type.member``."""
    members: set[str] = set()
    for path, text in release.files.items():
        if path.endswith("gql_gen.go"):
            members.update(_from_go(text))
        elif path.endswith(("_generated/input_types.py", "_generated/enums.py")):
            members.update(_from_python(ast.parse(text)))
    return members


def _from_go(text: str) -> Iterator[str]:
    for name, body in _GO_STRUCT.findall(text):
        # Names with two underscores are the variables of one operation, not a type of the schema.
        if not name.startswith("__"):
            yield from (f"{name}.{member}" for member in _GO_FIELD.findall(body))
    yield from (f"{name}.{value}" for name, value in _GO_CONSTANT.findall(text))


def _from_python(tree: ast.Module) -> Iterator[str]:
    for owner in tree.body:
        if not isinstance(owner, ast.ClassDef):
            continue
        for statement in owner.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                yield f"{owner.name}.{_alias(statement.value) or statement.target.id}"
            elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
                yield f"{owner.name}.{statement.value.value!s}"


def _alias(value: ast.expr | None) -> str | None:
    """The wire name in ``Field(alias="wireName")``."""
    if isinstance(value, ast.Call):
        for keyword in value.keywords:
            if keyword.arg == "alias" and isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value)
    return None
