"""`backhaul doctor` and the server: the way there step by step, and what the server says of the runs."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import trustme

from ..command import Backhaul, copy_of, id_of
from ..conftest import DepotProcess, StartDepot
from ..depot_client import Client
from ..depot_contents import held
from ..doctor_findings import found_by, steps_of


def test_the_way_to_the_server_is_told_step_by_step(backhaul: Backhaul, tmp_path: Path, project: str) -> None:
    """Every step is asked, with its time; the storage host as soon as the project has a run, whoever sent it."""
    run = copy_of("0.18.7", tmp_path)
    first = backhaul("doctor", run, "-p", project, "--json")
    assert (first.exit_code, first.document["findings"]) == (0, [])
    assert first.document["bytes_per_second"] > 100_000
    assert "nobody refuses to write there" in steps_of(first)["entity and project"]
    assert list(steps_of(first)) == [
        "proxy", "name", "connection", "HTTP", "GraphQL", "API key", "entity and project", "large request", "storage",
    ]  # fmt: skip
    assert "not asked" in steps_of(first)["storage"]
    assert "belongs to tester" in steps_of(first)["API key"]
    assert "from WANDB_API_KEY" in steps_of(first)["API key"]
    assert backhaul.sync(run, "-p", project).exit_code == 0
    other = copy_of("0.17.9", tmp_path / "other")
    for asked in (run, other):
        assert "127.0.0.1 answers" in steps_of(backhaul("doctor", asked, "-p", project, "--json"))["storage"]


def test_nothing_is_made_on_the_server_by_looking(backhaul: Backhaul, tmp_path: Path, project: str) -> None:
    """Asking whether a project may be written to does not make it."""
    run = copy_of("0.18.7", tmp_path)
    assert backhaul("doctor", run, "-p", project, "--json").exit_code == 0
    script = f"import wandb; print([p.name for p in wandb.Api().projects('tester')].count({project!r}))"
    called = subprocess.run(
        [sys.executable, "-c", script], env=backhaul.env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert called.stdout.split() == ["0"]


def test_the_first_step_that_fails_is_the_finding(backhaul: Backhaul, tmp_path: Path) -> None:
    """No name, nobody who listens, a key that is refused: each under the code of its error, and the steps end there."""
    run = copy_of("0.18.7", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    for url, key, code, last in (
        ("http://no-such-host.invalid", None, "host-not-found", "name"),
        (f"http://127.0.0.1:{free}", None, "connection-refused", "connection"),
        (backhaul.env["WANDB_BASE_URL"], "0" * 40, "credentials-refused", "API key"),
    ):
        done = backhaul.to(url, key)("doctor", run, "--json")
        assert (done.exit_code, list(found_by(done)), list(steps_of(done))[-1]) == (9, [code], last)


def test_what_the_server_does_not_have_whole_is_told(
    backhaul: Backhaul, tmp_path: Path, project: str, depot: DepotProcess
) -> None:
    """Deleted, lines more, a file less, another summary, still running: each under its code; none counts as home."""
    names = {"0.21.4": "missing", "0.22.3": "more", "0.24.2": "less", "0.28.2": "other", "0.31.0": "state"}
    runs = {what: copy_of(name, tmp_path) for name, what in names.items()}
    assert backhaul.sync(tmp_path, "-p", project).exit_code == 0
    home = backhaul("doctor", tmp_path, "-p", project)
    assert (home.exit_code, home.stdout.splitlines()[0]) == (0, "5 runs: 5 verified; server reachable, key valid")
    client, ids = Client(depot.url, depot.api_key), {what: id_of(run) for what, run in runs.items()}
    node = {what: client.run_field(project, name, "id")["id"] for what, name in ids.items()}
    delete = "mutation($i: ID!) { deleteRun(input: {id: $i}) { clientMutationId } }"
    assert "errors" not in client.query(delete, {"i": node["missing"]}).json
    there = held(depot.data, project, ids["more"])
    more = {"wandb-history.jsonl": {"offset": len(there.rows), "content": [json.dumps({"_step": 999, "x": 1})]}}
    assert client.stream(project, ids["more"], {"files": more, "complete": True, "exitcode": 0}).status == 200
    files = client.run_field(project, ids["less"], "files(first: 50) { edges { node { id name } } }")["files"]["edges"]
    (weights,) = (each["node"]["id"] for each in files if each["node"]["name"] == "weights.bin")
    drop = "mutation($f: [ID!]!) { deleteFiles(input: {files: $f}) { success } }"
    assert "errors" not in client.query(drop, {"f": [weights]}).json
    client.open_run(project, ids["other"], summaryMetrics=json.dumps({"loss": "another"}))
    client.open_run(project, ids["state"], state="running")
    done = backhaul("doctor", tmp_path, "-p", project, "--json")
    told = {(finding["path"], finding["code"]) for finding in done.document["findings"]}
    assert {(str(run), f"remote-{what}") for what, run in runs.items()} <= told
    assert (done.exit_code, done.document["runs"]) == (9, {"ready": 3, "waiting for you": 2})
    by_path = {finding["path"]: finding for finding in done.document["findings"]}
    assert "weights.bin" in by_path[str(runs["less"])]["evidence"]
    assert ".synced says that it is synced" in by_path[str(runs["missing"])]["evidence"]


def test_who_may_not_write_is_told_before_anything_is_sent(
    backhaul: Backhaul, tmp_path: Path, start_depot: StartDepot
) -> None:
    """A viewer's key may read the project; the doctor is refused as a sync would be, and the server makes nothing."""
    depot = start_depot(tmp_path / "data")
    added = backhaul("depot", "user", "add", "eve", "--role", "viewer", "-e", "tester", "--data", tmp_path / "data")
    done = backhaul.to(depot.url, added.stdout.strip())("doctor", copy_of("0.18.7", tmp_path), "-e", "tester", "--json")
    assert (list(found_by(done)), list(steps_of(done))[-1]) == (["forbidden"], "entity and project")


def test_who_signed_an_untrusted_certificate_is_named(backhaul: Backhaul, tmp_path: Path) -> None:
    """An authority that this machine does not know, as a proxy that opens TLS has one; trusted, it is named as well."""
    run, authority = copy_of("0.18.7", tmp_path), trustme.CA(organization_name="The Site Inspects You")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "site.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with _TlsServer(context) as url:
        refused = backhaul.to(url)("doctor", run, "--json")
        trusted = backhaul.to(url).with_env(SSL_CERT_FILE=str(bundle))("doctor", run, "--json")
    assert "signed by The Site Inspects You" in found_by(refused)["tls-failure"]["message"]
    assert steps_of(trusted)["TLS"] == "signed by The Site Inspects You, which is no public authority"


class _TlsServer:
    """Answers every request with 501, over TLS."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever).start()
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
