"""`POST /graphql`: a document and its variables in, data or errors out."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from graphql import ExecutionResult, GraphQLError, OperationType, execute_sync, get_operation_ast

from backhaul.depot.graphql.context import Context, TookTooLong
from backhaul.depot.graphql.documents import Documents, first_operation
from backhaul.depot.graphql.schema import load_schema
from backhaul.depot.refusal import Refused, of_disk

_LOG = logging.getLogger("backhaul.depot")

LONGEST_QUERY = 30.0
"""Seconds; clients wait no longer. A busy depot may need them for an honest query too, so that it may come again."""

Answer = tuple[int, dict[str, Any]]
"""HTTP status and JSON body."""


class GraphQLEndpoint:
    """Executes requests against the depot's schema. Safe to use from any thread."""

    def __init__(self, schema: Path | None = None) -> None:
        self._schema = load_schema(schema) if schema else load_schema()
        self._documents = Documents(self._schema)

    def answer(self, request: dict[str, Any], context: Context) -> Answer:
        """The answer to a request body; an invalid document and a refusal are answers too, `errors` in each.

        The status is 200 unless the document is invalid (400) or a resolver refused (its status) or broke (500).
        """
        query, variables = request.get("query"), request.get("variables") or {}
        if not isinstance(query, str) or not isinstance(variables, dict):
            raise Refused("a GraphQL request has a 'query' text, and 'variables' that are an object")
        document = self._documents.get(query)
        name = request.get("operationName") or first_operation(document)
        operation = get_operation_ast(document, name)
        if operation is not None and operation.operation is OperationType.QUERY:
            context = context.asking(LONGEST_QUERY)
        try:
            result = execute_sync(
                self._schema, document, context_value=context, variable_values=variables, operation_name=name
            )
        except TookTooLong:
            raise Refused(
                f"the query takes longer than {LONGEST_QUERY:g} seconds; ask for less at a time", 503
            ) from None
        return _answer(result)


def to_json(body: dict[str, Any]) -> bytes:
    """The body as strict JSON. Raises ValueError for a NaN that slipped through: clients could not read it."""
    return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()


def _answer(result: ExecutionResult) -> Answer:
    if not result.errors:
        return 200, {"data": result.data}
    body: dict[str, Any] = {"errors": [_described(error) for error in result.errors]}
    if result.data is not None:
        body["data"] = result.data
    return max(_status(error) for error in result.errors), body


def _cause(error: GraphQLError) -> Exception | None:
    """What a resolver raised; None for an error in the request itself (a variable of a wrong type)."""
    cause: Exception | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return of_disk(cause) if isinstance(cause, OSError) else cause


def _status(error: GraphQLError) -> int:
    original = _cause(error)
    if original is None:
        return 400
    return original.status if isinstance(original, Refused) else 500


def _described(error: GraphQLError) -> dict[str, Any]:
    original = _cause(error)
    message = error.message
    if original is not None and not isinstance(original, Refused):
        _LOG.error("failed", exc_info=original, extra={"facts": {"path": "/graphql", "field": error.path}})
        message = "internal error of the depot"
    described: dict[str, Any] = {"message": message}
    if error.path:
        described["path"] = list(error.path)
    if isinstance(original, Refused) and original.status == 403:
        described["extensions"] = {"code": "PERMISSION_ERROR"}
    return described
