"""Each error of the sync, through the real command: its code, what is safe, what to do next, and the exit code."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from ..command import OBEYING_PERMISSIONS, Backhaul, Finished, copy_of, end, ledger_of, log_of, marker_of
from ..conftest import DepotProcess
from ..depot_contents import delete, held
from ..fault_proxy import FaultProxy, answer, lying, refusal, reset, stall
from ..waiting import until


def _assert_told(done: Finished, code: str, exit_code: int, next_step: str) -> None:
    """One run, one error: the document has it, and a person reads the same three sentences."""
    error = done.only["error"]
    assert (error["code"], done.exit_code, done.document["exit_code"]) == (code, exit_code, exit_code), done.stderr
    _assert_sentences(done, error, next_step)


def _assert_told_for_all(done: Finished, code: str, exit_code: int, next_step: str) -> None:
    """The command could not begin: the error is the document's own."""
    error = done.document["error"]
    assert (done.document["runs"], error["code"], done.exit_code) == ([], code, exit_code), done.stderr
    assert done.document["exit_code"] == exit_code
    _assert_sentences(done, error, next_step)


def _assert_sentences(done: Finished, error: dict[str, str], next_step: str) -> None:
    assert error.keys() == {"code", "message", "safe", "next"}
    assert all(error.values())
    assert next_step in error["next"]
    for sentence in ("message", "safe", "next"):
        assert error[sentence] in done.stderr


def test_a_path_without_runs(backhaul: Backhaul, tmp_path: Path) -> None:
    """An empty folder and a path that is not there are wrong usage."""
    (tmp_path / "empty").mkdir()
    for path in ("empty", "absent"):
        _assert_told_for_all(backhaul.sync(tmp_path / path), "no-runs", 2, "wandb")


def test_an_unreadable_log(backhaul: Backhaul, tmp_path: Path) -> None:
    """A log without read permission is named, with what to do."""
    run = copy_of("0.31.0", tmp_path / "work")
    log_of(run).chmod(0)
    done = backhaul.sync(run, prefix=OBEYING_PERMISSIONS)
    _assert_told(done, "unreadable-file", 6, "permission")
    assert log_of(run).name in done.only["error"]["message"]


def test_a_folder_named_like_a_log(backhaul: Backhaul, tmp_path: Path) -> None:
    """What cannot be read as a file is told as such."""
    (tmp_path / "offline-run-20260101_000000-abc" / "run-abc.wandb").mkdir(parents=True)
    _assert_told(backhaul.sync(tmp_path), "unreadable-file", 6, "permission")


@pytest.mark.parametrize(
    ("content", "words", "next_step"),
    [
        (b"hello, this is text", "unknown content", ":W&B"),
        (b"\x1f\x8b\x08\x00", "gzip", ":W&B"),
        (b"\x00" * 4096, "zero bytes", "backhaul repair"),
    ],
)
def test_a_file_that_is_no_log(backhaul: Backhaul, tmp_path: Path, content: bytes, words: str, next_step: str) -> None:
    """The name says `.wandb`, the bytes say something else, and the message says what."""
    (tmp_path / "run-abc.wandb").write_bytes(content)
    done = backhaul.sync(tmp_path / "run-abc.wandb")
    _assert_told(done, "not-a-wandb-log", 6, next_step)
    assert words in done.only["error"]["message"]


def test_an_sqlite_file_named_like_a_log(backhaul: Backhaul, tmp_path: Path) -> None:
    """The databases of other tools by that name are recognised."""
    database = sqlite3.connect(tmp_path / "run-abc.wandb")
    database.execute("CREATE TABLE t (x)")
    database.close()
    done = backhaul.sync(tmp_path / "run-abc.wandb")
    _assert_told(done, "not-a-wandb-log", 6, ":W&B")
    assert "SQLite" in done.only["error"]["message"]


def test_no_credentials(backhaul: Backhaul, healthy: Path) -> None:
    """Without a key the error says how to log in, and that a depot needs none."""
    done = backhaul.without("WANDB_API_KEY").sync(healthy)
    _assert_told_for_all(done, "no-credentials", 4, "wandb login")
    assert "--to depot" in done.document["error"]["next"]
    assert not ledger_of(healthy).exists()


def test_refused_credentials(backhaul: Backhaul, depot: DepotProcess, healthy: Path) -> None:
    """A wrong key is told at once, and does not show in what is printed."""
    key = "0" * 39 + "1"
    done = backhaul.to(depot.url, key).sync(healthy)
    _assert_told(done, "credentials-refused", 4, "wandb login --relogin")
    assert key not in done.stdout + done.stderr


def test_a_host_that_is_not_found(backhaul: Backhaul, healthy: Path) -> None:
    """A name without an address is told within ten seconds of trying."""
    done = backhaul.to("http://no-such-host.invalid").sync(healthy)
    _assert_told(done, "host-not-found", 5, "URL")


def test_a_refused_connection_is_told_within_ten_seconds(backhaul: Backhaul, closed_port: int, tmp_path: Path) -> None:
    """The official client takes 16 minutes. One run or five: the others need not find it out again."""
    for name in ("0.31.0", "0.31.0-killed", "0.18.7", "0.17.9", "0.16.6"):
        copy_of(name, tmp_path / "work")
    done = backhaul.to(f"http://127.0.0.1:{closed_port}").sync(tmp_path / "work", "-j", "1")
    assert {run["error"]["code"] for run in done.document["runs"]} == {"connection-refused"}
    assert {run["state"] for run in done.document["runs"]} == {"blocked"}
    assert (len(done.document["runs"]), done.exit_code) == (5, 5)
    assert "trying again" in done.stderr


@pytest.fixture
def authority() -> trustme.CA:
    """A certificate authority that nobody trusts yet."""
    return trustme.CA()


@pytest.fixture
def tls_proxy(depot: DepotProcess, authority: trustme.CA) -> Iterator[FaultProxy]:
    """The depot behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with FaultProxy(depot.url, context) as started:
        yield started


def test_an_untrusted_certificate(
    backhaul: Backhaul, tls_proxy: FaultProxy, authority: trustme.CA, healthy: Path, tmp_path: Path, project: str
) -> None:
    """TLS that fails is a matter of configuration; the bundle that the error names makes it work."""
    # The depot does not know that it is behind TLS, and names plain upload addresses.
    tls_proxy.always("CreateRunFiles", lying(lambda told: json.loads(json.dumps(told).replace("http:", "https:"))))
    through = backhaul.to(tls_proxy.url)
    _assert_told(through.sync(healthy, "-p", project), "tls-failure", 4, "SSL_CERT_FILE")
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    trusting = through.with_env(SSL_CERT_FILE=str(bundle))
    assert trusting.sync(healthy, "-p", project).exit_code == 0


@pytest.mark.parametrize(
    ("kind", "status", "code", "next_step"),
    [
        ("UpsertBucket", 403, "forbidden", "entity and project"),
        ("UpsertBucket", 404, "not-found", "entity and project"),
        ("UpsertBucket", 400, "bad-request", "will not help"),
        ("file_stream", 403, "forbidden", "entity and project"),
        ("file_stream", 404, "not-found", "entity and project"),
    ],
)
def test_a_refusal_for_good(
    backhaul: Backhaul,
    proxy: FaultProxy,
    healthy: Path,
    project: str,
    kind: str,
    status: int,
    code: str,
    next_step: str,
) -> None:
    """Told at once, asked once, exit 7, and the run is not marked; the server's own words are in the message."""
    proxy.always(kind, refusal(status, "the server's own words"))
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    _assert_told(done, code, 7, next_step)
    assert "the server's own words" in done.only["error"]["message"]
    assert len(proxy.of(kind)) == 1
    assert not marker_of(healthy).exists()


def test_a_deleted_run(backhaul: Backhaul, depot: DepotProcess, healthy: Path, project: str) -> None:
    """The depot refuses the id of a deleted run (409); a new id is the way out."""
    assert backhaul.sync(healthy, "-p", project).exit_code == 0
    delete(depot.data, project, "healthy")
    ledger_of(healthy).unlink()
    marker_of(healthy).unlink()
    _assert_told(backhaul.sync(healthy, "-p", project), "run-deleted", 7, "--id")
    assert not marker_of(healthy).exists()
    assert backhaul.sync(healthy, "-p", project, "--id", "again").exit_code == 0


@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"Retry_After": "1"}), (500, {}), (502, {}), (503, {"Retry_After": "1"}), (409, {})]
)
def test_a_passing_trouble_is_waited_out(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str, status: int, headers: dict[str, str]
) -> None:
    """Asked again, after as long as the server wants, until it works; the wait is told with its age."""
    proxy.on("file_stream", refusal(status, **headers))
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert proxy.of("file_stream")[0].body == proxy.of("file_stream")[1].body
    assert "trying again" in done.stderr
    if headers:
        assert done.seconds > 1


@pytest.mark.parametrize(("status", "code"), [(429, "rate-limited"), (503, "server-unavailable")])
def test_a_wait_that_is_too_long_is_told_and_left_to_the_user(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str, status: int, code: str
) -> None:
    """A server that wants an hour: exit 5 at once instead of an hour of silence, and what went before is remembered."""
    proxy.always("CreateRunFiles", refusal(status, Retry_After="3600"))
    through = backhaul.to(proxy.url)
    _assert_told(through.sync(healthy, "-p", project), code, 5, "again")
    proxy.heal()
    lines = len(list(proxy.lines()))
    assert through.sync(healthy, "-p", project).exit_code == 0
    again = [stream for stream, _, _ in list(proxy.lines())[lines:]]
    assert again == ["wandb-summary.json"]


def test_a_login_page_in_place_of_the_server(backhaul: Backhaul, proxy: FaultProxy, healthy: Path) -> None:
    """A captive portal answers 200 with HTML: that is no acknowledgement."""
    page = answer(200, "<!doctype html><html><body>Please log in</body></html>")
    proxy.always("RunResumeStatus", page)
    _assert_told(backhaul.to(proxy.url).sync(healthy), "captive-portal", 4, "log in")


def test_a_connection_that_breaks_now_and_then(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """A reset at the first request of each kind costs a retry each, and nothing else."""
    for kind in ("RunResumeStatus", "ServerFeaturesQuery", "UpsertBucket", "file_stream", "CreateRunFiles", "put"):
        proxy.on(kind, reset)
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert len(held(depot.data, project, "healthy").rows) == 300


@pytest.mark.parametrize("kind", ["RunResumeStatus", "put"])
def test_a_server_that_falls_silent_is_left_at_the_deadline(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str, kind: str
) -> None:
    """`--deadline` ends even a request that hangs: exit 8, and the same command goes on."""
    proxy.always(kind, stall)
    done = backhaul.to(proxy.url).sync(healthy, "-p", project, "--deadline", "3")
    _assert_told(done, "deadline", 8, "again")
    assert done.only["state"] == "blocked"
    proxy.heal()
    assert backhaul.to(proxy.url).sync(healthy, "-p", project).exit_code == 0


def test_a_server_that_falls_silent_is_given_up_after_the_timeout(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """`--timeout` is the longest time without a byte; then the same request is sent again."""
    proxy.on("file_stream", stall)
    done = backhaul.to(proxy.url).sync(healthy, "-p", project, "--timeout", "1")
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert proxy.of("file_stream")[0].body == proxy.of("file_stream")[1].body


@pytest.mark.parametrize(
    ("number", "code", "exit_code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_a_signal_ends_it_at_once_and_in_order(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str, number: int, code: str, exit_code: int
) -> None:
    """What was acknowledged is remembered, and the same command goes on from there."""
    proxy.always("CreateRunFiles", stall)
    process = backhaul.to(proxy.url).start("sync", healthy, "-p", project, "--json")
    proxy.wait_for("CreateRunFiles")
    # The lines go alone when the files take too long to go with them.
    until(lambda: b'"lines":{"history":300' in ledger_of(healthy).read_bytes(), "all rows are acknowledged")
    process.send_signal(number)
    done = end(process)
    _assert_told(done, code, exit_code, "again")
    assert (done.only["state"], done.only["run_id"], done.only["project"]) == ("blocked", "healthy", project)
    assert done.only["streams"]["history"]["local"] == 300
    proxy.heal()
    proxy.seen.clear()
    assert backhaul.to(proxy.url).sync(healthy, "-p", project).exit_code == 0
    assert [stream for stream, _, _ in proxy.lines()] == ["wandb-summary.json"]


_ON_A_SMALL_DISK = """
mount -t tmpfs -o size=$1 none "$2" && cp -a "$3"/. "$2" && dd if=/dev/zero of="$2/filler" 2>/dev/null
shift 3
exec "$@"
"""


def _has_small_disks() -> bool:
    return subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0


def test_a_disk_that_is_full_when_the_ledger_is_written(
    backhaul: Backhaul, proxy: FaultProxy, tmp_path: Path, project: str
) -> None:
    """No space for the first entry: nothing is sent without it, the others are told what to do, exit 5."""
    original, disk = copy_of("0.31.0", tmp_path / "work"), tmp_path / "disk"
    disk.mkdir()
    prefix = ("unshare", "-rm", "sh", "-c", _ON_A_SMALL_DISK, "-", "256k", str(disk), str(original))
    through, code = backhaul.to(proxy.url), "disk-full"
    if not _has_small_disks():
        # Where nobody may mount, the size of files is limited instead; the system then has another word for it.
        shutil.copytree(original, disk, dirs_exist_ok=True)
        prefix, code = ("sh", "-c", 'ulimit -f 0; exec "$@"', "-"), "ledger-unwritable"
    done = through.sync(disk, "-p", project, prefix=prefix)
    _assert_told(done, code, 5, "space" if code == "disk-full" else "writable")
    assert proxy.of("file_stream") == []


def test_a_ledger_that_can_grow_no_further_survives(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """The write fails in the middle of an entry; what the ledger knew before is still known, and the rest follows."""
    through = backhaul.to(proxy.url)
    proxy.always("CreateRunFiles", refusal(403))
    assert through.sync(healthy, "-p", project).exit_code == 7
    proxy.heal()
    whole = ledger_of(healthy).read_bytes()
    room = len(whole) + 20

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    process = subprocess.Popen(
        [sys.executable, "-m", "backhaul", "sync", str(healthy), "--json", "-p", project],
        env=through.env,
        cwd=through.cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=little_room,
    )
    done = end(process)
    _assert_told(done, "ledger-unwritable", 5, "writable")
    assert ledger_of(healthy).read_bytes().startswith(whole)
    lines = len(list(proxy.lines()))
    assert through.sync(healthy, "-p", project).exit_code == 0
    assert {stream for stream, _, _ in list(proxy.lines())[lines:]} == {"wandb-summary.json"}
    assert len(held(depot.data, project, "healthy").rows) == 300
