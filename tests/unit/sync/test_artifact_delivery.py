"""Artifacts on their way to servers that are not as ours is: doubles of their doors, real files and a real ledger."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from backhaul.errors import BadRequest, ConnectionLost
from backhaul.runs.content_places import content_places
from backhaul.sync.artifact_delivery import ArtifactDelivery
from backhaul.sync.content_sender import ContentSender
from backhaul.sync.ledger import Ledger
from backhaul.sync.outcome import Outcome
from backhaul.sync.policy import ArtifactPolicy
from backhaul.sync.retry import Retrier
from backhaul.wandblog.schema import ArtifactRecord
from backhaul.wire.artifacts import ArtifactFileTarget, CreatedArtifact, RemoteArtifact
from backhaul.wire.message import FileSlice
from backhaul.wire.remote import RunAddress, UploadTarget
from backhaul.wire.server import Server

_HERE = RunAddress(entity="ada", project="cifar", run_id="run-a", storage_id="storage-id")
_CONTENT = b"0123456789"


@dataclass
class _Store:
    """A server that begins a new upload each time that it is asked for addresses, as object stores do."""

    remote: RemoteArtifact | None = None
    project: str | None = "ada/cifar"
    knows_client_ids: bool = True
    parts_given: int | None = None
    cuts: Iterator[bool] = field(default_factory=lambda: iter(()))
    uploads: int = 0
    received: list[tuple[str, bytes]] = field(default_factory=list)
    completed: list[list[str]] = field(default_factory=list)

    @property
    def artifacts(self) -> _Store:
        return self

    async def create(self, wanted: Mapping[str, Any]) -> CreatedArtifact:
        return CreatedArtifact("id", "PENDING", None)

    async def create_manifest(self, *_: object) -> tuple[str, UploadTarget | None]:
        return "manifest", None

    async def update_manifest(self, *_: object) -> tuple[str, UploadTarget | None]:
        return "manifest", None

    async def create_files(self, files: Sequence[Mapping[str, Any]]) -> list[ArtifactFileTarget]:
        self.uploads += 1
        count = self.parts_given or len(files[0]["uploadPartsInput"])
        parts = tuple(UploadTarget("a.bin", f"http://store/{self.uploads}/{number}", {}) for number in range(count))
        return [ArtifactFileTarget("birth", parts[0], "path", f"upload-{self.uploads}", parts)]

    async def put_part(self, target: UploadTarget, body: FileSlice, _: str) -> str:
        if next(self.cuts, False):
            raise ConnectionLost("the line was cut")
        self.received.append((target.url, body.path.read_bytes()[body.offset : body.offset + body.length]))
        return f'"{len(self.received)}"'

    async def complete_parts(self, _: str, __: ArtifactFileTarget, etags: list[str]) -> None:
        self.completed.append(etags)

    async def commit(self, _: str) -> None:
        """Nothing is asked."""

    async def server_id(self, client_id: str) -> str | None:
        if not self.knows_client_ids:
            raise BadRequest("no such question")
        return "held" if client_id == "client" and self.remote is not None else None

    async def read(self, _: str) -> RemoteArtifact | None:
        return self.remote

    async def project_of(self, _: str) -> str | None:
        if self.project == "":
            raise BadRequest("no such question")
        return self.project


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file goes in parts of four bytes."""
    monkeypatch.setattr("backhaul.sync.content_sender.PARTS_FROM", 1)
    monkeypatch.setattr("backhaul.sync.parts._SMALL_PART_SIZE", 4)


def _record(path: Path) -> ArtifactRecord:
    record = ArtifactRecord(name="model", type="model", digest="digest", client_id="client", finalize=True)
    entry = record.manifest.contents.add(path="a.bin", size=len(_CONTENT), local_path=str(path))
    entry.digest = b64encode(hashlib.md5(_CONTENT, usedforsecurity=False).digest()).decode()
    return record


def _deliver(
    store: _Store, tmp_path: Path, *records: ArtifactRecord, max_file_size: int | None = None
) -> tuple[dict[str, str], Outcome]:
    outcome = Outcome(tmp_path, "run-a")

    async def no_time(_: float) -> None:
        """Waits are over at once."""

    async def work() -> dict[str, str]:
        with Ledger.open(tmp_path / "run-a.wandb", tmp_path / "state") as ledger:
            server = cast(Server, store)
            places = content_places({}, tmp_path / "home", tmp_path / "files")
            sender = ContentSender(server, ledger, "here")
            retrier = Retrier(sleep=no_time)
            delivery = ArtifactDelivery(
                _HERE, server, places, retrier, outcome, ArtifactPolicy(), sender, max_file_size
            )
            return await delivery.deliver(records)

    return asyncio.run(work()), outcome


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """The file that the artifact has."""
    path = tmp_path / "a.bin"
    path.write_bytes(_CONTENT)
    return path


def test_a_part_that_is_cut_goes_again_without_those_that_have_arrived(content: Path, tmp_path: Path) -> None:
    """At the same address: a new one would begin a new upload, and a bad line would never see its end."""
    store = _Store(cuts=iter([False, True, False, True, False]))
    there, outcome = _deliver(store, tmp_path, _record(content))
    assert (there, outcome.quarantined) == ({"id": "digest"}, [])
    assert [body for _, body in store.received] == [b"0123", b"4567", b"89"]
    assert (store.uploads, store.completed) == (1, [['"1"', '"2"', '"3"']])


def test_an_address_at_which_nothing_gets_on_is_given_up(content: Path, tmp_path: Path) -> None:
    """It may have expired: after two tries in vain a new one is asked for."""
    store = _Store(cuts=iter([False, True, True, True]))
    there, _ = _deliver(store, tmp_path, _record(content))
    assert there == {"id": "digest"}
    assert store.uploads == 2
    assert [url for url, _ in store.received] == [f"http://store/{upload}" for upload in ("1/0", "2/0", "2/1", "2/2")]


def test_another_number_of_addresses_than_of_parts_is_told(content: Path, tmp_path: Path) -> None:
    """The artifact is set aside with the reason; it is no bug of ours."""
    store = _Store(parts_given=2)
    there, outcome = _deliver(store, tmp_path, _record(content))
    assert there == {}
    assert "in 3 parts, and the server gave 2 addresses" in outcome.quarantined[0].reason


@pytest.mark.parametrize(("path", "arrive"), [("a.bin", 2), ("gone.bin", 0)])
def test_an_artifact_in_parts_is_finished_only_when_they_have_arrived(
    content: Path, tmp_path: Path, path: str, arrive: int
) -> None:
    """Committed without a part it would be another one; the part and the end are both told."""
    part, end = _record(content.with_name(path)), _record(content)
    part.distributed_id = end.distributed_id = "together"
    part.finalize = False
    store = _Store()
    _, outcome = _deliver(store, tmp_path, part, end)
    assert store.uploads == arrive
    assert [item.what for item in outcome.quarantined] == ["artifact model"] * (2 - arrive)


@pytest.mark.parametrize(("most", "is_sent"), [(len(_CONTENT), True), (len(_CONTENT) - 1, False)])
def test_an_artifact_with_a_larger_file_than_is_wanted_is_left_out(
    content: Path, tmp_path: Path, most: int, is_sent: bool
) -> None:
    """Nothing of it is sent; it is told with the size."""
    store = _Store()
    there, outcome = _deliver(store, tmp_path, _record(content), max_file_size=most)
    assert (bool(there), bool(store.uploads), outcome.quarantined) == (is_sent, is_sent, [])
    assert outcome.left_out == (
        [] if is_sent else ["artifact model: it has a file of 10 bytes, larger than the 9 allowed"]
    )


@pytest.mark.parametrize(
    ("remote", "project", "is_there"),
    [
        (RemoteArtifact("COMMITTED", "digest"), "ada/cifar", True),
        (RemoteArtifact("COMMITTED", "digest"), None, True),
        (RemoteArtifact("COMMITTED", "digest"), "", True),
        (RemoteArtifact("PENDING", "digest"), "ada/cifar", False),
        (RemoteArtifact("COMMITTED", "another"), "ada/cifar", False),
        (RemoteArtifact("COMMITTED", "digest"), "ada/elsewhere", False),
        (None, "ada/cifar", False),
    ],
)
def test_what_the_server_has_whole_need_not_be_here(
    remote: RemoteArtifact | None, project: str | None, is_there: bool, tmp_path: Path
) -> None:
    """Contents that another client sent and removed are not missing; all others are, by name."""
    there, outcome = _deliver(_Store(remote, project), tmp_path, _record(tmp_path / "gone.bin"))
    assert there == ({"held": "digest"} if is_there else {})
    assert [item.what for item in outcome.quarantined] == ([] if is_there else ["artifact model"])


def test_a_server_that_cannot_be_asked_hides_not_what_is_missing(tmp_path: Path) -> None:
    """The reason that is told is the content that is gone."""
    store = _Store(RemoteArtifact("COMMITTED", "digest"), knows_client_ids=False)
    _, outcome = _deliver(store, tmp_path, _record(tmp_path / "gone.bin"))
    assert "gone.bin" in outcome.quarantined[0].reason
