"""Whatever an entity is called, its pages are its own, and what the depot needs for itself is nobody's page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from starlette.routing import Match, Mount, Route

from backhaul.depot import Depot, Place
from backhaul.depot.names import entity_name
from backhaul.depot.pages.site import PAGES
from backhaul.depot.refusal import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from ...depot_client import Client

_RUN_PAGES = ("series", "state")


def _routes(folder: Path) -> list[Route | Mount]:
    depot = Depot(Place(folder), entity="tester")
    try:
        return [each for each in depot.app().routes if isinstance(each, Route | Mount)]
    finally:
        depot.close()


def _filled(path: str, **parts: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: parts.get(found[1], "runs"), path)


def test_no_name_of_an_entity_hides_its_pages(tmp_path: Path) -> None:
    """Each first part of a fixed address as an entity, with all else called as what the addresses are made of."""
    routes = _routes(tmp_path)
    firsts = {each.path.split("/")[1] for each in routes} - {"", "{entity}"}
    assert {"files", "storage", "graphql", ":static", ":files", ":storage"} <= firsts
    pages = [path for path in PAGES if path != "/"] + ["/{entity}/{project}/runs/{run}/" + name for name in _RUN_PAGES]
    for entity in sorted(firsts):
        if entity.startswith(":"):
            with pytest.raises(Refused):
                entity_name(entity)
            continue
        for page in pages:
            scope = {"type": "http", "method": "GET", "path": _filled(page, entity=entity)}
            found = next(each for each in routes if each.matches(scope)[0] is Match.FULL)
            assert found.path == page, scope["path"]


@pytest.mark.parametrize("entity", ["files", "storage", "static"])
def test_an_entity_called_as_an_address_has_runs_files_and_pages(client: Client, project: str, entity: str) -> None:
    """In a project called `runs`, with a file called as a page."""
    client.open_run("runs", project, entityName=entity)
    address = client.upload_address("runs", project, "logs", entity=entity)
    assert client.request("PUT", address, b"of the file").status == 200
    form = f"key={client.api_key}".encode()
    cookie = {"Cookie": client.request("POST", "/login", form).headers["set-cookie"].partition(";")[0]}
    for page in ("overview", "logs", "files", "series", "state"):
        shown = client.request("GET", f"/{entity}/runs/runs/{project}/{page}?format=json", headers=cookie)
        assert shown.status == 200, (page, shown.body)
    listed = client.request("GET", f"/{entity}/runs/runs/{project}/files?format=json", headers=cookie).json
    (path,) = [each["path"] for each in listed["files"] if each["name"] == "logs"]
    assert client.request("GET", path, headers=cookie).body == b"of the file"


def test_addresses_that_were_given_before_are_good_until_they_expire(client: Client, project: str) -> None:
    """They began with `/storage`, without the colon; with the key files are at `/files` as ever."""
    client.open_run(project, "r1")
    address = client.upload_address(project, "r1", "a.txt")
    assert "/:storage/" in address
    assert client.request("PUT", address.replace("/:storage/", "/storage/"), b"x").status == 200
    assert client.keyed("GET", f"/files/tester/{project}/r1/a.txt").body == b"x"
