"""Unmodified SDKs, and `backhaul sync`, bring artifacts straight to the object store of a depot."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..command import Backhaul
from ..object_store import BUCKET, Door
from .releases import each_release

if TYPE_CHECKING:
    from tests.conftest import DepotProcess, StartDepot

    from .conftest import Program

_LOG = """
    import json, pathlib, sys, wandb
    project, mode = sys.argv[1:]
    pathlib.Path("a.bin").write_bytes(b"x" * 100_000)
    pathlib.Path("empty.txt").touch()
    pathlib.Path("saved.txt").write_text("saved")
    with wandb.init(project=project, id="maker", mode=mode) as run:
        run.log({"x": 1, "table": wandb.Table(columns=["a", "b"], data=[[1, "ü"], [2, None]])})
        run.save("saved.txt")
        artifact = wandb.Artifact("ds", "dataset")
        artifact.add_file("a.bin", name="sub/a b.bin")
        artifact.add_file("empty.txt")
        run.log_artifact(artifact)
    print(json.dumps(None))
"""

_READ = """
    import json, os, pathlib, sys, wandb
    api = wandb.Api()
    run = api.run(sys.argv[1] + "/maker")
    folder = pathlib.Path(api.artifact(sys.argv[1] + "/ds:latest").download(root="got"))
    (table,) = [each for each in run.logged_artifacts() if each.type == "run_table"]
    files = {file.name: file.size for file in run.files()}
    print(json.dumps({
        "files": {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()},
        "right": (folder / "sub/a b.bin").read_bytes() == b"x" * 100_000,
        "table": table.get("table").data,
        "saved": files.get("saved.txt"),
    }))
"""

_EXPECTED = {
    "files": {"sub/a b.bin": 100_000, "empty.txt": 0},
    "right": True,
    "table": [[1, "ü"], [2, None]],
    "saved": 5,
}


@pytest.fixture
def sdk_env(isolated_env: dict[str, str], direct_depot: DepotProcess) -> dict[str, str]:
    """The clean environment, with a depot whose clients bring bytes to its object store themselves."""
    return isolated_env | {"WANDB_BASE_URL": direct_depot.url, "WANDB_API_KEY": direct_depot.api_key}


@each_release(installed=True)
def test_artifacts_logged_online_come_back(program: Program, project: str) -> None:
    """With their files, empty ones too, and the files of the run."""
    program(_LOG, project, "online")
    assert program(_READ, project) == _EXPECTED


@pytest.mark.parametrize("interpreter", ["installed"], indirect=True)
def test_backhaul_brings_artifacts_and_proves_them(program: Program, project: str, sdk_env: dict[str, str]) -> None:
    """An offline run is verified, and comes back as one that was logged online."""
    program(_LOG, project, "offline")
    done = Backhaul(sdk_env, Path(sdk_env["HOME"])).sync(Path(sdk_env["WANDB_DIR"]), "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert program(_READ, project) == _EXPECTED


_LARGE = """
    import json, sys, wandb
    with open("large.bin", "wb") as file:
        file.seek(2 * 1024**3)
        file.write(b"the end")
    with wandb.init(project=sys.argv[1]) as run:
        artifact = wandb.Artifact("large", type="dataset")
        artifact.add_reference("file:///etc/hostname", checksum=False)
        artifact.add_file("large.bin")
        run.log_artifact(artifact)
    artifact = wandb.Api().artifact(sys.argv[1] + "/large:latest")
    print(json.dumps([artifact.version, artifact.manifest.entries["large.bin"].size]))
"""


@each_release(since="0.15.12")
def test_a_file_over_two_gibibytes_goes_straight_in_parts(
    program: Program, project: str, tmp_path: Path, door: Door, start_depot: StartDepot
) -> None:
    """Part by part to the store, which holds it byte for byte; the depot gets none of it."""
    place = door.place()
    depot = start_depot(tmp_path / "large-depot", place.bucket, place.prefix, door.url, "direct")
    try:
        found = program(_LARGE, project, WANDB_BASE_URL=depot.url, WANDB_API_KEY=depot.api_key)
        assert found == ["v0", 2 * 1024**3 + 7]
        parts = [asked for asked in door.seen if "partNumber" in asked.query]
        assert len(parts) >= 21
        assert all(asked.signed_address for asked in parts)
        (name,) = [name for name in door.names(place) if name.count(".") == 2 and ".m" not in name]
        body = door.client().get_object(Bucket=BUCKET, Key=place.prefix + name)["Body"]
        with (tmp_path / "large.bin").open("rb") as file:
            assert hashlib.file_digest(file, "md5").hexdigest() == name.split(".")[1]
        digest = hashlib.md5()
        for piece in body.iter_chunks(1 << 20):
            digest.update(piece)
        assert digest.hexdigest() == name.split(".")[1]
    finally:
        depot.kill()
        shutil.rmtree(tmp_path)
