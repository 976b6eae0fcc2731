"""The depot behind TLS, with a certificate of a private authority: the unmodified SDK and our own sync reach it."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import trustme

from backhaul.depot import Depot, Place, Role, User, new_key
from tests.command import Backhaul, copied
from tests.sync_fixtures import healthy, healthy_original

__all__ = ["healthy", "healthy_original"]

_LOG_AND_READ = """
    import json, wandb
    run = wandb.init(entity="lab", project="p", id="online", config={"lr": 0.1})
    run.log({"loss": 0.5})
    with open("saved.txt", "w") as file:
        file.write("saved")
    run.save("saved.txt", policy="now")
    artifact = wandb.Artifact("ds", "dataset")
    artifact.add_file("saved.txt")
    run.log_artifact(artifact)
    run.finish()
    api = wandb.Api()
    read = api.run("lab/p/online")
    print(json.dumps({
        "loss": [row["loss"] for row in read.scan_history()],
        "saved": read.file("saved.txt").download("got", replace=True).read(),
        "artifact": open(api.artifact("lab/p/ds:latest").download() + "/saved.txt").read(),
    }))
"""

_ELSEWHERE = """
    import json, wandb
    try:
        wandb.init(entity="secret", project="p")
    except wandb.errors.CommError as error:
        print(json.dumps([str(error)]))
"""


class _TlsDepot(NamedTuple):
    """A depot that speaks TLS, and the file of the authority that vouches for it."""

    url: str
    data: Path
    authority: Path
    said: str


@pytest.fixture(scope="module")
def tls_depot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_TlsDepot]:
    """`backhaul depot` as an operator starts it: on all interfaces, with certificate and key in two files."""
    tmp_path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    cert, key, ca, data = (tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem", "depot-data"))
    authority.cert_pem.write_to_path(str(ca))
    key.write_bytes(certificate.private_key_pem.bytes())
    cert.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    options = ["--tls-cert", str(cert), "--tls-key", str(key), "--host", "0.0.0.0", "--port", "0", "--data", str(data)]
    command = [sys.executable, "-m", "backhaul", "depot", *options]
    said = tmp_path / "said"
    with said.open("w") as stderr, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as depot:
        assert depot.stdout is not None
        try:
            address = urlsplit(depot.stdout.readline().strip())
            assert address.scheme == "https", said.read_text()
            yield _TlsDepot(f"https://127.0.0.1:{address.port}", data, ca, said.read_text())
        finally:
            depot.terminate()


@pytest.fixture
def member(tls_depot: _TlsDepot, isolated_env: dict[str, str]) -> dict[str, str]:
    """The environment of somebody who belongs to the team `lab`, and trusts the site's authority as W&B's pages say."""
    key = new_key()
    with Depot.users_of(Place(tls_depot.data)) as users:
        users.put(User("ada", Role.MEMBER, frozenset({"lab"})), key)
    trust = {"SSL_CERT_FILE": str(tls_depot.authority), "REQUESTS_CA_BUNDLE": str(tls_depot.authority)}
    return isolated_env | trust | {"WANDB_BASE_URL": tls_depot.url, "WANDB_API_KEY": key}


def _run(script: str, env: dict[str, str], folder: Path) -> Any:
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.strip().rpartition("\n")[2])


def test_the_sdk_works_over_tls_in_its_users_team_and_nowhere_else(
    tls_depot: _TlsDepot, member: dict[str, str], tmp_path: Path
) -> None:
    """Lines, files and artifacts go to https addresses, and are read back; another entity is refused at once."""
    assert _run(_LOG_AND_READ, member, tmp_path) == {"loss": [0.5], "saved": "saved", "artifact": "saved"}
    (message,) = _run(_ELSEWHERE, member, tmp_path)
    assert "permission denied" in message
    assert "Warning" not in tls_depot.said


def test_our_sync_works_over_tls_and_says_what_is_wrong_without_the_authority(
    tls_depot: _TlsDepot, member: dict[str, str], healthy: Path, tmp_path: Path
) -> None:
    """Verified with the authority; exit code 4 and the word TLS without it; 7 where the user may not write."""
    there = copied(healthy, tmp_path / "there")
    bare = {name: value for name, value in member.items() if name not in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")}
    blind = Backhaul(bare, tmp_path).sync(there, "--to", tls_depot.url, "-e", "lab")
    assert (blind.exit_code, blind.only["error"]["code"]) == (4, "tls-failure")
    refused = Backhaul(member, tmp_path).sync(there, "--to", tls_depot.url, "-e", "secret")
    assert (refused.exit_code, refused.only["error"]["code"]) == (7, "forbidden")
    done = Backhaul(member, tmp_path).sync(there, "--to", tls_depot.url, "-e", "lab")
    assert (done.exit_code, done.only["state"]) == (0, "verified")


def test_a_cookie_that_came_over_tls_goes_back_over_tls_only(tls_depot: _TlsDepot, member: dict[str, str]) -> None:
    """Browsers then never send it in the clear."""
    parts = urlsplit(tls_depot.url)
    context = ssl.create_default_context(cafile=tls_depot.authority)
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=120, context=context)
    try:
        connection.request("POST", "/login", f"key={member['WANDB_API_KEY']}")
        response = connection.getresponse()
        flags = {part.strip().lower() for part in (response.getheader("set-cookie") or "").split(";")[1:]}
    finally:
        connection.close()
    assert response.status == 303
    assert {"httponly", "secure", "samesite=strict", "path=/"} <= flags


def test_the_depot_warns_before_it_sends_keys_in_the_clear(tmp_path: Path) -> None:
    """On standard error, as soon as it listens beyond this machine."""
    options = ["--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path / "data")]
    command = [sys.executable, "-m", "backhaul", "depot", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as depot:
        assert depot.stdout is not None
        depot.stdout.readline()
        depot.terminate()
        _, said = depot.communicate(timeout=120)
    assert "without TLS" in said
