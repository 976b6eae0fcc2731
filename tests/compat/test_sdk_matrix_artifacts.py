"""Unmodified SDKs of four years against the depot: their artifacts. See `test_sdk_matrix`."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from .releases import each_release

if TYPE_CHECKING:
    from tests.conftest import StartDepot

    from .conftest import Program

_ARTIFACT = """
    import json, os, pathlib, sys, wandb
    project = sys.argv[1]
    pathlib.Path("elsewhere.bin").write_bytes(b"far away")
    for content in ("first", "second", "second"):
        pathlib.Path("data.txt").write_text(content)
        with wandb.init(project=project, id="by-" + content, resume="allow") as run:
            artifact = wandb.Artifact("data", type="dataset", metadata={"content": content}, description="said")
            artifact.add_file("data.txt", name="sub/data.txt")
            artifact.add_reference("file://" + os.path.abspath("elsewhere.bin"), name="far.bin")
            run.log_artifact(artifact, aliases=[content])
    found = {}
    with wandb.init(project=project, id="user") as run:
        for alias in ("latest", "first", "v1"):
            artifact = run.use_artifact("data:" + alias)
            folder = pathlib.Path(artifact.download(root="got-" + alias))
            found[alias] = [artifact.version, artifact.metadata["content"], artifact.description, artifact.state,
                            (folder / "sub/data.txt").read_text(), (folder / "far.bin").read_text()]
    api = wandb.Api()
    latest = api.artifact(project + "/data:latest")
    found["aliases"] = sorted(latest.aliases)
    found["made by"] = latest.logged_by().id
    found["used by"] = [each.id for each in latest.used_by()]
    found["used"] = sorted(each.name for each in api.run(project + "/user").used_artifacts())
    found["logged"] = [each.name for each in api.run(project + "/by-first").logged_artifacts()]
    latest.aliases.append("added")
    latest.description = "changed"
    latest.save()
    again = wandb.Api().artifact(project + "/data:added")
    found["edited"] = [again.version, again.description]
    print(json.dumps(found))
"""


@each_release()
def test_artifacts_are_logged_used_and_edited(program: Program, project: str) -> None:
    """Versions, aliases, metadata, references, downloads; the same content is no new version."""
    second = ["v1", "second", "said", "COMMITTED", "second", "far away"]
    assert program(_ARTIFACT, project) == {
        "latest": second,
        "first": ["v0", "first", "said", "COMMITTED", "first", "far away"],
        "v1": second,
        "aliases": ["latest", "second"],
        "made by": "by-second",
        "used by": ["user"],
        "used": ["data:v0", "data:v1"],
        "logged": ["data:v0"],
        "edited": ["v1", "changed"],
    }


_INCREMENTAL = """
    import json, pathlib, sys, wandb
    project = sys.argv[1]
    for name, incremental in (("old.txt", False), ("new.txt", True)):
        pathlib.Path(name).write_text(name)
        with wandb.init(project=project) as run:
            artifact = wandb.Artifact("data", type="dataset", incremental=incremental)
            artifact.add_file(name)
            run.log_artifact(artifact)
    artifact = wandb.Api().artifact(project + "/data:latest")
    folder = pathlib.Path(artifact.download(root="got"))
    print(json.dumps([artifact.version, {path.name: path.read_text() for path in folder.iterdir()}]))
"""


@each_release()
def test_an_incremental_version_adds_to_the_one_before(program: Program, project: str) -> None:
    """It holds the files of both."""
    assert program(_INCREMENTAL, project) == ["v1", {"old.txt": "old.txt", "new.txt": "new.txt"}]


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
def test_a_file_over_two_gibibytes_comes_in_parts(program: Program, project: str, tmp_path: Path,
                                                  start_depot: StartDepot) -> None:  # fmt: skip
    """The release sends it in parts, and the depot holds the file byte for byte."""
    depot = start_depot(tmp_path / "large-depot")
    try:
        found = program(_LARGE, project, WANDB_BASE_URL=depot.url, WANDB_API_KEY=depot.api_key)
        assert found == ["v0", 2 * 1024**3 + 7]
        with closing(sqlite3.connect(depot.data / "depot.sqlite")) as database:
            assert database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'uploads'").fetchall() == [(1,)]
            assert database.execute("SELECT count(*) FROM upload_parts").fetchone() == (0,)
            ((blob,),) = database.execute("SELECT blob FROM contents WHERE size > 1000000000").fetchall()
        digests = [_md5(path) for path in (depot.data / "blobs" / blob[:2] / blob, tmp_path / "large.bin")]
        assert digests[0] == digests[1]
    finally:
        depot.kill()
        shutil.rmtree(tmp_path)  # several times two gibibytes


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
