"""`backhaul doctor` and the server: the way there step by step, and what the server says of the runs."""

from __future__ import annotations

import http.server
import json
import shlex
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import trustme

from ..command import Backhaul, copy_of, id_of, marker_of
from ..conftest import DepotProcess, StartDepot
from ..depot_client import Client
from ..depot_contents import held
from ..doctor_findings import found_by, steps_of
from ..fault_proxy import FaultProxy, answer
from ..opening_proxy import OpeningProxy, bundle_of


def test_the_way_to_the_server_is_told_step_by_step(backhaul: Backhaul, tmp_path: Path, project: str) -> None:
    """Every step is asked, with its time; the storage host as soon as the project has a run, whoever sent it."""
    run = copy_of("0.18.7", tmp_path)
    first = backhaul("doctor", run, "-p", project, "--json")
    assert (first.exit_code, first.document["findings"]) == (0, [])
    assert first.document["bytes_per_second"] > 0
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


def test_the_first_step_that_fails_is_the_finding(backhaul: Backhaul, tmp_path: Path, closed_port: int) -> None:
    """No name, nobody who listens, a key that is refused: each under the code of its error, and the steps end there."""
    run = copy_of("0.18.7", tmp_path)
    for url, key, code, last in (
        ("http://no-such-host.invalid", None, "host-not-found", "name"),
        (f"http://127.0.0.1:{closed_port}", None, "connection-refused", "connection"),
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


def test_who_opens_tls_on_the_way_is_named(backhaul: Backhaul, tmp_path: Path, depot: DepotProcess) -> None:
    """Through a proxy too: untrusted it is the reason, trusted a note; W&B's own servers have public signers."""
    run, authority = copy_of("0.18.7", tmp_path), trustme.CA(organization_name="The Site Inspects You")
    here = urlsplit(depot.url)
    with OpeningProxy({"api.wandb.ai": (here.hostname or "", here.port or 0)}, authority, "YWRhOnNlY3JldA==") as proxy:
        wandb = backhaul.to("https://api.wandb.ai").with_env(HTTPS_PROXY=proxy.url.replace("//", "//ada:secret@"))
        untrusted = wandb("doctor", run, "--json")
        opened = wandb.with_env(SSL_CERT_FILE=bundle_of(authority, tmp_path))("doctor", run, "--json")
        refused = wandb.with_env(HTTPS_PROXY=proxy.url)("doctor", run, "--json")
    assert "signed by The Site Inspects You, and is not trusted" in found_by(untrusted)["tls-failure"]["message"]
    assert (list(steps_of(untrusted))[-1], found_by(untrusted)["tls-failure"]["severity"]) == ("TLS", "error")
    assert "The Site Inspects You signed" in found_by(opened)["tls-intercepted"]["message"]
    # No run tells where W&B keeps files, and this proxy lets nobody through to where it does.
    assert list(steps_of(opened))[-1] == "storage"
    assert "storage.googleapis.com" in found_by(opened)["storage-unreachable"]["message"]
    assert "407" in found_by(refused)["proxy-refused"]["message"]


def test_a_proxy_that_is_not_there_is_the_reason_and_not_the_server(
    backhaul: Backhaul, tmp_path: Path, closed_port: int
) -> None:
    """What fails is the address in HTTPS_PROXY; its password is not shown."""
    away = backhaul.to("https://api.wandb.ai").with_env(HTTPS_PROXY=f"http://ada:secret@127.0.0.1:{closed_port}")
    done = away("doctor", copy_of("0.18.7", tmp_path), "--json")
    assert f"The proxy http://127.0.0.1:{closed_port} cannot be reached" in found_by(done)["proxy-refused"]["message"]
    assert "secret" not in done.stdout


class _Answers(http.server.BaseHTTPRequestHandler):
    """Answers everything with what the test says."""

    page, kind, more = b"<html>Please sign in</html>", "text/html", dict[str, str]()

    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": self.kind, "Content-Length": str(len(self.page)), **self.more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.page)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


def test_a_page_where_the_server_should_be_and_a_limit_that_is_used_up_are_told(
    backhaul: Backhaul, tmp_path: Path
) -> None:
    """A captive portal answers GraphQL with a page; a server tells that nothing is left of its limit."""
    run = copy_of("0.18.7", tmp_path)
    handler = type("Limited", (_Answers,), {"more": {"RateLimit-Remaining": "0", "RateLimit-Reset": "30"}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = backhaul.to(f"http://127.0.0.1:{server.server_address[1]}")("doctor", run, "--json")
        server.shutdown()
    assert (set(found_by(done)), list(steps_of(done))[-1]) == ({"captive-portal", "rate-limited"}, "GraphQL")
    assert "ratelimit-reset: 30" in found_by(done)["rate-limited"]["evidence"]


def test_what_is_out_of_order_behind_the_address_is_told_as_that(
    backhaul: Backhaul, proxy: FaultProxy, tmp_path: Path, project: str
) -> None:
    """A page with 503 is an outage and no login; a store counts as there only when it could take files."""
    sent, new = copy_of("0.18.7", tmp_path), copy_of("0.17.9", tmp_path / "new")
    through = backhaul.to(proxy.url)
    assert through.sync(sent, "-p", project).exit_code == 0
    page = answer(503, "<html>Service unavailable</html>")
    for kind, last in (("head", "storage"), ("Viewer", "GraphQL")):
        proxy.always(kind, page)
        done = through("doctor", sent, "-p", project, "--json")
        assert (done.exit_code, list(steps_of(done))[-1]) == (9, last)
        assert "server-unavailable" in found_by(done)
        proxy.heal()
    # A server that goes by the names of the official client's questions does not know this one.
    proxy.always("SomeFile", answer(404, "<html>no such page</html>"))
    assert "not asked" in steps_of(through("doctor", new, "-p", project, "--json"))["storage"]
    assert len(proxy.of("SomeFile")) == 1


def test_a_run_that_was_never_sent_and_whose_id_is_taken_is_told(
    backhaul: Backhaul, tmp_path: Path, project: str, depot: DepotProcess
) -> None:
    """Other rows under the same id: the remedy sends it under another one. What is not there is no finding."""
    run, new = copy_of("0.31.0", tmp_path / "a"), copy_of("0.18.7", tmp_path / "b")
    client = Client(depot.url, depot.api_key)
    client.open_run(project, id_of(run))
    rows = {"wandb-history.jsonl": {"offset": 0, "content": ['{"_step": 7, "mine": 1}']}}
    assert client.stream(project, id_of(run), {"files": rows}).status == 200
    done = backhaul("doctor", run, new, "-p", project, "--json")
    assert [finding["code"] for finding in done.document["findings"]] == ["remote-other"]
    remedy = found_by(done)["remote-other"]["remedy"]
    assert backhaul(*shlex.split(remedy)[1:], "-p", project).exit_code == 0


def test_a_run_that_was_deleted_is_told_from_one_that_never_arrived(
    backhaul: Backhaul, tmp_path: Path, project: str, depot: DepotProcess
) -> None:
    """Both have a marker. Each remedy brings its run home, as it is typed."""
    deleted, never = copy_of("0.31.0", tmp_path), copy_of("0.18.7", tmp_path)
    assert backhaul.sync(deleted, "-p", project).exit_code == 0
    client = Client(depot.url, depot.api_key)
    node = client.run_field(project, id_of(deleted), "id")["id"]
    client.query("mutation($i: ID!) { deleteRun(input: {id: $i}) { clientMutationId } }", {"i": node})
    marker_of(never).touch()
    findings = backhaul("doctor", tmp_path, "-p", project, "--json").document["findings"]
    missing = {finding["path"]: finding for finding in findings if finding["code"] == "remote-missing"}
    assert set(missing) == {str(deleted), str(never)}
    assert "was deleted there" in missing[str(deleted)]["message"]
    for finding in missing.values():
        assert backhaul(*shlex.split(finding["remedy"])[1:], "-p", project).exit_code == 0, finding
