"""A plain HTTP client: what goes over the wire is what a test says, nothing else."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as strict JSON."""

        def refuse(word: str) -> Any:
            raise AssertionError(f"not strict JSON: {word}")

        return json.loads(self.body, parse_constant=refuse)


class Client:
    """Speaks to one depot, with its key unless a test says otherwise."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        self.api_key = api_key
        self.authorization = "Basic " + base64.b64encode(f"api:{api_key}".encode()).decode()

    def request(
        self, method: str, address: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """One request; `address` may be absolute or a path."""
        parts = urlsplit(address)
        connection = http.client.HTTPConnection(parts.netloc or urlsplit(self.url).netloc, timeout=60)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def bring(self, address: str, body: bytes, md5: str | None = None) -> Reply:
        """PUTs bytes of an artifact with their MD5 (base64), as clients do; or with another one."""
        told = md5 or base64.b64encode(hashlib.md5(body).digest()).decode()
        return self.request("PUT", address, body, {"Content-MD5": told})

    def keyed(self, method: str, address: str, body: bytes | None = None, **headers: str) -> Reply:
        """One request that shows the key."""
        return self.request(method, address, body, {"Authorization": self.authorization, **headers})

    def query(self, text: str, variables: dict[str, Any] | None = None, **more: Any) -> Reply:
        """One GraphQL request."""
        return self.keyed("POST", "/graphql", json.dumps({"query": text, "variables": variables, **more}).encode())

    def open_run(self, project: str, name: str, **fields: Any) -> Any:
        """Opens a run; the answer's bucket."""
        text = """mutation U($input: UpsertBucketInput!) { upsertBucket(input: $input) { inserted bucket {
            id name displayName state tags config historyLineCount project { name entity { name } } } } }"""
        reply = self.query(text, {"input": {"name": name, "modelName": project, "entityName": "tester", **fields}})
        assert reply.status == 200, reply.body
        return reply.json["data"]["upsertBucket"]["bucket"]

    def upload_address(self, project: str, run: str, name: str, entity: str = "tester") -> str:
        """Where a file of the run may be PUT."""
        text = """mutation($e: String!, $p: String!, $r: String!, $f: [String!]!) { createRunFiles(input:
            {entityName: $e, projectName: $p, runName: $r, files: $f}) { runID files { name uploadUrl } } }"""
        reply = self.query(text, {"e": entity, "p": project, "r": run, "f": [name]})
        assert reply.status == 200, reply.body
        return str(reply.json["data"]["createRunFiles"]["files"][0]["uploadUrl"])

    def stream(self, project: str, run: str, body: Any, **headers: str) -> Reply:
        """One `file_stream` request."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.keyed("POST", f"/files/tester/{project}/{run}/file_stream", data, **headers)

    def run_field(self, project: str, run: str, fields: str) -> Any:
        """Fields of a run."""
        text = 'query($p: String!, $r: String!) { project(name: $p, entityName: "tester") { run(name: $r) { %s } } }'
        reply = self.query(text % fields, {"p": project, "r": run})
        assert reply.status == 200, reply.body
        return reply.json["data"]["project"]["run"]
