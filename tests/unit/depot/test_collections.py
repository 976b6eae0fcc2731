"""A collection of many versions is read in pages: of what is not shown nothing is read."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from backhaul.depot import Role, User
from backhaul.depot.access import seen_by
from backhaul.depot.artifact import Artifact, Collection, Draft, Window
from backhaul.depot.model import Blob
from backhaul.depot.pages import artifacts as pages
from backhaul.depot.store import artifacts as rows
from backhaul.depot.store.opening import open_store

from ...depot_thread import served_depot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backhaul.depot.store.sql_store import SqlStore

_MANY = 12


def _version(store: SqlStore, number: int, entity: str = "tester") -> Artifact:
    draft = Draft(entity, "p", "ds", "dataset", f"digest-{number}", (f"n{number}",), tags=("even",) * (number % 2 == 0))
    made = store.artifacts.create(draft)
    manifest = store.artifacts.make_manifest(made.id, f"m{number}")
    store.artifacts.put_manifest(manifest.id, Blob(f"blob-{entity}-{number}", 1, f"m{number}"))
    return store.artifacts.commit(made.id, manifest.id, [])


def _filled(store: SqlStore) -> list[Collection]:
    """A collection of versions, and one of links to them."""
    versions = [_version(store, number) for number in range(_MANY)]
    for each in versions:
        linked = store.artifacts.link(each.id, "tester", "p", "best", [f"b{each.version}"])
    return [versions[0].collection, linked.collection]


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many rows of versions were read since it was asked last."""
    made, read = rows._artifact, []

    def counted(row: tuple[Any, ...]) -> Artifact:
        read.append(row)
        return made(row)

    def told() -> int:
        count = len(read)
        read.clear()
        return count

    monkeypatch.setattr(rows, "_artifact", counted)
    return told


def _walked(store: SqlStore, series: Collection, oldest_first: bool, rows_read: Callable[[], int]) -> list[int]:
    found: list[int] = []
    rows_read()
    while some := store.artifacts.members(series, Window(5, found[-1] if found else None, oldest_first)):
        assert rows_read() == len(some) <= 5
        found += [each.version for each in some]
    return found


def test_a_page_of_a_collection_reads_its_own_rows_alone(store: SqlStore, rows_read: Callable[[], int]) -> None:
    """Of versions and of links, in both orders; so does a look for one of them, and none is needed to count."""
    for series in _filled(store):
        newest_first = list(range(_MANY))[::-1]
        assert _walked(store, series, False, rows_read) == newest_first
        assert _walked(store, series, True, rows_read) == newest_first[::-1]
        assert [each.version for each in store.artifacts.members(series)] == newest_first
        rows_read()
        assert (store.artifacts.count(series), rows_read()) == (_MANY, 0)
        for name in ("v3", "digest-3", "b3" if series.portfolio else "n3"):
            found = store.artifacts.member(series, name)
            assert found is not None
            assert (found.version, rows_read()) == (3, 1)
        assert store.artifacts.member(series, "nothing") is None


def test_a_page_begins_where_the_last_one_ended_whatever_goes_meanwhile(store: SqlStore) -> None:
    """No version is passed over because another one was deleted."""
    series, portfolio = _filled(store)
    first = store.artifacts.members(series, Window(5))
    store.artifacts.delete(first[1].artifact.id, with_aliases=True)
    assert [each.version for each in store.artifacts.members(series, Window(5, first[-1].version))] == [6, 5, 4, 3, 2]
    assert [store.artifacts.count(each) for each in (series, portfolio)] == [_MANY - 1] * 2


def test_a_page_of_links_does_not_count_what_is_hidden(store: SqlStore) -> None:
    """Links lead to other entities; whoever does not see these gets pages that are full all the same."""
    _, portfolio = _filled(store)
    for number in range(_MANY):
        store.artifacts.link(_version(store, number, "lab").id, "tester", "p", "best", [])
    seen = seen_by(store, User("tester", Role.MEMBER)).artifacts
    assert seen.count(portfolio) == _MANY
    assert [each.version for each in seen.members(portfolio, Window(5))] == [11, 10, 9, 8, 7]
    assert [each.version for each in seen.members(portfolio, Window(5, 9, oldest_first=True))] == [10, 11]
    assert store.artifacts.count(portfolio) == 2 * _MANY


def _query(client: Any, name: str, **args: Any) -> Any:
    text = """query($name: String!, $first: Int, $after: String, $order: String, $filters: JSONString) {
        project(name: "p", entityName: "tester") { artifactCollection(name: $name) { artifacts(first: $first,
        after: $after, order: $order, filters: $filters) { totalCount edges { version cursor node { digest } }
        pageInfo { endCursor hasNextPage } } } } }"""
    return client.query(text, {"name": name, **args}).json["data"]["project"]["artifactCollection"]["artifacts"]


def _listed(client: Any, name: str, total: int, **args: Any) -> list[str]:
    """All versions, as the SDK lists them: page after page."""
    found: list[str] = []
    after = None
    while True:
        page = _query(client, name, first=5, after=after, **args)
        assert page["totalCount"] == total
        found += [edge["version"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found


def test_clients_and_pages_get_a_collection_page_by_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_read: Callable[[], int]
) -> None:
    """All versions once, forwards and back; a page reads one row more than it shows, to know whether there are more."""
    monkeypatch.setattr(pages, "_PAGE", 5)
    with closing(open_store(tmp_path / "depot.sqlite")) as store:
        _filled(store)
    every = [f"v{number}" for number in range(_MANY)]
    with served_depot(tmp_path) as client:
        for name in ("ds", "best"):
            rows_read()
            assert _listed(client, name, _MANY) == every[::-1]
            assert _listed(client, name, _MANY, order="+createdAt") == every
            assert rows_read() <= 2 * (_MANY + 2)
            assert _listed(client, name, _MANY // 2, filters='{"tags": {"$in": ["even"]}}') == every[::2][::-1]
        form = f"key={client.api_key}".encode()
        cookie = {"Cookie": client.request("POST", "/login", form).headers["set-cookie"].partition(";")[0]}

        def shown(kind: str, query: str) -> Any:
            rows_read()
            address = f"/tester/p/artifacts/dataset/{kind}?format=json{query}"
            twin = client.request("GET", address, headers=cookie).json
            assert rows_read() <= 6
            assert client.request("GET", address.replace("format=json", ""), headers=cookie).status == 200
            return twin

        for kind in ("ds", "best"):
            newest = shown(kind, "")
            middle = shown(kind, f"&older={newest['older']}")
            oldest = shown(kind, f"&older={middle['older']}")
            assert [each["version"] for page in (newest, middle, oldest) for each in page["versions"]] == every[::-1]
            assert (newest["total"], newest["newer"], oldest["older"]) == (_MANY, None, None)
            back = shown(kind, f"&newer={oldest['newer']}")
            assert back["versions"] == middle["versions"]
            assert shown(kind, f"&newer={back['newer']}")["versions"] == newest["versions"]
        rows_read()
        overview = client.request("GET", "/tester/p/artifacts?format=json", headers=cookie).json
        assert rows_read() == 2
        assert [each["versions"] for each in overview["types"][0]["collections"]] == [_MANY, _MANY]
