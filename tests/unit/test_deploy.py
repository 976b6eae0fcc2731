"""The files under `deploy/` say what the program understands, and agree with one another."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.configprovider
import click
import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from backhaul.cli.main import cli
from backhaul.depot import Place
from backhaul.depot.app import _healthy
from backhaul.sync.depot_folder import DATABASE_VARIABLE

_ROOT = Path(__file__).parents[2]
_DEPLOY = _ROOT / "deploy"
_PORT = 8765
_DATA_VARIABLE = "BACKHAUL_DEPOT"
_CREDENTIALS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def _compose() -> Any:
    return yaml.safe_load((_DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def _kubernetes() -> list[Any]:
    return list(yaml.safe_load_all((_DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))


def _of_kind(*kinds: str) -> Iterator[Any]:
    return (document for document in _kubernetes() if document["kind"] in kinds)


def _containers() -> Iterator[tuple[Any, Any]]:
    """Each container with its pod."""
    for document in _of_kind("Deployment", "StatefulSet", "Job"):
        pod = document["spec"]["template"]["spec"]
        yield from ((container, pod) for container in pod["containers"])


def _depot_container() -> Any:
    (container,) = (container for container, _ in _containers() if container["name"] == "depot")
    return container


def _parsed(line: list[str]) -> dict[str, Any]:
    """The options of a `backhaul depot` line, as the program reads them."""
    program, command, *rest = line
    assert program == "backhaul"
    group = cli.get_command(click.Context(cli), command)
    assert group is not None
    return dict(group.make_context("depot", list(rest), parent=click.Context(cli)).params)


def _lines() -> Iterator[list[str]]:
    compose = _compose()
    yield from (compose["services"][name]["command"] for name in ("depot-1", "depot-2"))
    yield _depot_container()["command"]
    (line,) = re.findall(r"^CMD (.+)$", (_DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    yield yaml.safe_load(line)


def _environments() -> Iterator[dict[str, str]]:
    yield _compose()["services"]["depot-1"]["environment"]
    yield {each["name"]: each.get("value", "") for each in _depot_container()["env"]}


def test_every_command_line_is_one_that_the_program_understands() -> None:
    """They listen for others, each on the port at which it is asked."""
    for line in _lines():
        options = _parsed(line)
        assert (options["host"], options["port"]) == ("0.0.0.0", _PORT)
    with pytest.raises(click.UsageError):
        _parsed(["backhaul", "depot", "--blob=s3://runs"])


def test_every_variable_is_one_that_somebody_reads() -> None:
    """Ours, or those of the AWS settings."""
    known = {name for _, names, *_ in botocore.configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES.values() if names
             for name in (names if isinstance(names, list) else [names])}  # fmt: skip
    for environment in _environments():
        assert set(environment) <= known | _CREDENTIALS | {_DATA_VARIABLE, DATABASE_VARIABLE}
        assert {*_CREDENTIALS, _DATA_VARIABLE, DATABASE_VARIABLE} <= set(environment)


def test_who_is_asked_for_is_there() -> None:
    """Database, store, depots and what waits for them go by names that the files themselves give."""
    compose = _compose()
    services = compose["services"]
    options = _parsed(services["depot-1"]["command"])
    database = urlsplit(services["depot-1"]["environment"][DATABASE_VARIABLE].replace("${DATABASE_PASSWORD:?}", "x"))
    assert {urlsplit(options["s3_endpoint"]).hostname, database.hostname} <= services.keys()
    assert {name for service in services.values() for name in service.get("depends_on", ())} <= services.keys()
    upstream = re.findall(r"server ([\w-]+):(\d+) ", (_DEPLOY / "nginx.conf").read_text())
    assert upstream == [("depot-1", str(_PORT)), ("depot-2", str(_PORT))]
    (listens,) = re.findall(r"listen (\d+);", (_DEPLOY / "nginx.conf").read_text())
    assert services["balancer"]["ports"] == [f"{urlsplit(options['public_url']).port}:{listens}"]
    assert services["store"]["ports"][0].split(":")[0] == str(urlsplit(options["s3_public_endpoint"]).port)
    assert options["forwarded_allow_ips"] == compose["networks"]["default"]["ipam"]["config"][0]["subnet"]
    named = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())}
    assert {name for name in named if not name.startswith(".")} == compose["volumes"].keys()


def test_services_and_addresses_of_the_cluster_agree() -> None:
    """Each service has pods and a port of theirs; each address that a depot is given is a service's, or public."""
    ports = {}
    for document in _of_kind("Deployment", "StatefulSet"):
        (container,) = document["spec"]["template"]["spec"]["containers"]
        labels = document["spec"]["template"]["metadata"]["labels"]
        assert document["spec"]["selector"]["matchLabels"] == labels
        ports[labels["app"]] = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["depot"] == {"http": _PORT}
    offered = {}
    for service in _of_kind("Service"):
        (port,) = service["spec"]["ports"]
        assert port["targetPort"] in ports[service["spec"]["selector"]["app"]]
        offered[service["metadata"]["name"]] = port
    options = _parsed(_depot_container()["command"])
    store = urlsplit(options["s3_endpoint"])
    assert offered[store.hostname or ""]["port"] == store.port
    (secret,) = _of_kind("Secret")
    database = urlsplit(secret["stringData"]["database-url"])
    assert offered[database.hostname or ""]["port"] == database.port
    assert database.password == secret["stringData"]["database-password"]
    (ingress,) = _of_kind("Ingress")
    hosts = {rule["host"]: rule["http"]["paths"][0]["backend"]["service"] for rule in ingress["spec"]["rules"]}
    assert set(hosts) == {urlsplit(options[name]).hostname for name in ("public_url", "s3_public_endpoint")}
    assert all(offered[each["name"]]["name"] == each["port"]["name"] for each in hosts.values())


def test_probes_ask_for_what_the_depot_answers(tmp_path: Path) -> None:
    """At its own port."""
    from backhaul.depot import Depot

    depot = Depot(Place(tmp_path))
    try:
        (path,) = (route.path for route in depot.app().routes if getattr(route, "endpoint", None) is _healthy)
    finally:
        depot.close()
    container = _depot_container()
    probes = [container[name] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert {(probe["httpGet"]["path"], probe["httpGet"]["port"]) for probe in probes} == {(path, "http")}
    assert f"http://127.0.0.1:{_PORT}{path}" in _compose()["services"]["depot-1"]["healthcheck"]["test"][-1]


def test_pods_have_the_volumes_and_secrets_that_they_use() -> None:
    """And the depot's folder lies on one that can be written."""
    (secret,) = _of_kind("Secret")
    sets = [each["spec"]["volumeClaimTemplates"] for each in _of_kind("StatefulSet")]
    claims = {claim["metadata"]["name"] for templates in sets for claim in templates}
    for container, pod in _containers():
        volumes = {volume["name"] for volume in pod.get("volumes", ())} | claims
        assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes
        used = [each["valueFrom"]["secretKeyRef"] for each in container["env"] if "valueFrom" in each]
        assert all(each["name"] == secret["metadata"]["name"] and each["key"] in secret["stringData"] for each in used)
    mounts = {mount["mountPath"] for mount in _depot_container()["volumeMounts"]}
    for environment in _environments():
        assert environment[_DATA_VARIABLE] in mounts


def test_the_image_is_made_of_what_the_package_offers() -> None:
    """Extras by their names, a Python that it supports, and a user who is nobody."""
    text = (_DEPLOY / "Dockerfile").read_text()
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r"whl\)\[([\w,]+)\]", text)
    assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    (python,) = set(re.findall(r"^FROM python:([\d.]+)-slim(?: AS \w+)?$", text, re.MULTILINE))
    assert Version(python) in SpecifierSet(project["requires-python"])
    (user,) = re.findall(r"--uid (\d+)", text)
    (deployment,) = _of_kind("Deployment")
    assert deployment["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == int(user)
