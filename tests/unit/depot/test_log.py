"""What the depot says on standard error."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

from ...depot_client import Client


def test_each_refusal_is_one_line_of_json(tmp_path: Path) -> None:
    """Status, reason and path of whatever was not carried out; neither keys nor signatures."""
    line = [sys.executable, "-m", "backhaul", "depot", "--port", "0", "--entity", "tester", "--data", str(tmp_path)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        client = Client(process.stdout.readline().strip(), (tmp_path / "api-key").read_text().strip())
        client.open_run("p", "r")
        put = client.upload_address("p", "r", "a.txt")
        replies = [
            client.request("POST", "/graphql", b"{}", {"Authorization": "Basic wrong"}),
            client.query('mutation Wipe { deleteRun(input: {id: "x"}) { clientMutationId } }', operationName="Wipe"),
            client.stream("p", "none", {}),
            client.request("PUT", put, b"x", {"Content-MD5": base64.b64encode(bytes(16)).decode()}),
            client.request("PUT", put.replace("signature=", "signature=0"), b"x"),
            client.keyed("GET", "/no/such/place"),
            client.request("POST", "/sdk/otel/v1/metrics", b"what an SDK tells of itself, again and again"),
            client.query("{"),
        ]
    finally:
        process.terminate()
        said = process.communicate(timeout=20)[1]
    lines = [json.loads(text) for text in said.splitlines() if text.startswith("{")]
    told = [(each["status"], each["method"], each["path"]) for each in lines if each["event"] == "refused"]
    file = "/:storage/tester/p/r/a.txt"
    assert told == [
        (401, "POST", "/graphql"),
        (404, "POST", "/graphql"),
        (404, "POST", "/files/tester/p/none/file_stream"),
        (400, "PUT", file),
        (403, "PUT", file),
        (404, "GET", "/no/such/place"),
        (400, "POST", "/graphql"),
    ]
    assert [reply.status for reply in replies if reply.status != 200] == [status for status, _, _ in told]
    assert all(each["reason"] and each["time"].endswith("Z") and each["level"] == "info" for each in lines)
    assert (lines[1]["operation"], lines[1]["user"]) == ("Wipe", "tester")
    assert client.api_key not in said
    assert "signature=" not in "".join(json.dumps(each) for each in lines)
