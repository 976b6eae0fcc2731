"""What is deleted frees its bytes, and only those."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...depot_client import Client
from ...depot_contents import sweep
from ...depot_load import PROJECT, ArtifactUpload

if TYPE_CHECKING:
    from tests.conftest import StartDepot


def _kept(data: Path) -> list[bytes]:
    """All bytes of files and artifact entries; not the manifests."""
    found = [path.read_bytes() for path in (data / "blobs").glob("??/*")]
    return sorted(each for each in found if not each.startswith(b"{"))


def _delete_run(client: Client, run: str, **fields: Any) -> None:
    identifier = client.run_field(PROJECT, run, "id")["id"]
    text = "mutation($i: DeleteRunInput!) { deleteRun(input: $i) { clientMutationId } }"
    assert client.query(text, {"i": {"id": identifier, **fields}}).status == 200


def test_a_deleted_run_frees_its_files_and_with_its_artifacts_theirs(tmp_path: Path, start_depot: StartDepot) -> None:
    """Without the flag the versions stay; bytes that another collection shares stay in either case."""
    depot = start_depot(tmp_path / "depot")
    client = Client(depot.url, depot.api_key)
    for run in ("one", "two"):
        client.open_run(PROJECT, run)
        client.request("PUT", client.upload_address(PROJECT, run, "f"), b"file of " + run.encode())
        ArtifactUpload(run, b"own of " + run.encode(), run).bring(client)
    shared = next(each for each in _kept(depot.data) if each.startswith(b"the same"))
    _delete_run(client, "one")
    _delete_run(client, "two", deleteArtifacts=True)
    depot.kill()
    sweep(depot.data)
    assert _kept(depot.data) == [b"own of one", shared]
    assert len(list((depot.data / "blobs").glob("??/*"))) == 3  # with the manifest of the version that is left
