"""Artifacts and tables of the unmodified SDK."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import RunScript

# Other programs do the work, on a machine that may have much else to do.
pytestmark = pytest.mark.timeout(500)

_LOG = """
    import wandb
    run = wandb.init(project="{project}", id="maker", mode="{mode}")
    run.log({{"x": 1, "table": wandb.Table(columns=["a", "b"], data=[[1, "ü"], [2, None]])}})
    with open("a.bin", "wb") as file:
        file.write(b"x" * 100_000)
    artifact = wandb.Artifact("ds", "dataset", description="said", metadata={{"k": 1}})
    artifact.add_file("a.bin", name="sub/a b.bin")
    artifact.add_reference("https://example.com/data", name="elsewhere", checksum=False)
    run.log_artifact(artifact, aliases=["first"])
    run.finish()
"""

_READ = """
    import json, os, wandb
    api = wandb.Api()
    artifact = api.artifact("{project}/ds:latest")
    folder = artifact.download("got", skip_cache=True, path_prefix="sub/")  # what is referred to lies elsewhere
    table = [each for each in api.run("{project}/maker").logged_artifacts() if each.type == "run_table"][0]
    print(json.dumps({{
        "version": artifact.version, "type": artifact.type, "aliases": sorted(artifact.aliases), "size": artifact.size,
        "description": artifact.description, "metadata": artifact.metadata, "state": artifact.state,
        "content": open(os.path.join(folder, "sub/a b.bin"), "rb").read() == b"x" * 100_000,
        "entry": os.path.getsize(artifact.get_entry("sub/a b.bin").download("single")),
        "reference": artifact.get_entry("elsewhere").ref, "maker": artifact.logged_by().id,
        "table": table.get("table").data,
        "versions": [each.version for each in api.artifacts("dataset", "{project}/ds")],
    }}))
"""

_EXPECTED: dict[str, Any] = {
    "version": "v0",
    "type": "dataset",
    "aliases": ["first", "latest"],
    "size": 100_000,
    "description": "said",
    "metadata": {"k": 1},
    "state": "COMMITTED",
    "content": True,
    "entry": 100_000,
    "reference": "https://example.com/data",
    "maker": "maker",
    "table": [[1, "ü"], [2, None]],
    "versions": ["v0"],
}


def test_an_artifact_logged_online_comes_back(sdk: RunScript, project: str) -> None:
    """Content, names, metadata, references, the table of a run."""
    sdk(_LOG.format(project=project, mode="online"))
    assert sdk(_READ.format(project=project)) == _EXPECTED


def test_an_artifact_of_an_offline_run_arrives_once(sdk: RunScript, sdk_env: dict[str, str], project: str) -> None:
    """A second sync makes no second version."""
    sdk(_LOG.format(project=project, mode="offline"))
    folders = [str(path) for path in Path(sdk_env["WANDB_DIR"], "wandb").glob("offline-run-*")]
    for _ in range(2):
        command = ["wandb", "sync", "--include-synced", *folders]
        done = subprocess.run(command, env=sdk_env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    assert sdk(_READ.format(project=project)) == _EXPECTED


def test_versions_aliases_and_uses_are_kept(sdk: RunScript, project: str) -> None:
    """New content is a new version that takes `latest`; the same content is the old version; aliases move."""
    found = sdk(f"""
        import json, wandb
        run = wandb.init(project="{project}", id="r")
        def log(text, aliases):
            artifact = wandb.Artifact("ds", "dataset")
            with artifact.new_file("f.txt") as file:
                file.write(text)
            return run.log_artifact(artifact, aliases=aliases).wait().version
        versions = [log("one", ["best"]), log("two", ["best"]), log("two", ["again"])]
        used = run.use_artifact("ds:v0")
        run.finish()
        api = wandb.Api()
        first, second = api.artifact("{project}/ds:v0"), api.artifact("{project}/ds:best")
        second.aliases.append("added")
        second.description = "new"
        second.save()
        again = api.artifact("{project}/ds:added")
        print(json.dumps([versions, sorted(first.aliases), again.version, sorted(again.aliases), again.description,
                          [each.id for each in first.used_by()],
                          [each.name for each in api.run("{project}/r").used_artifacts()]]))
    """)
    aliases = ["added", "again", "best", "latest"]
    assert found == [["v0", "v1", "v1"], [], "v1", aliases, "new", ["r"], ["ds:v0"]]


def test_a_type_once_given_stays(sdk: RunScript, project: str) -> None:
    """A collection has one type; another is refused before anything is sent."""
    found = sdk(f"""
        import json, wandb
        run = wandb.init(project="{project}", id="r")
        said = ""
        for kind in ("dataset", "model"):
            artifact = wandb.Artifact("ds", kind)
            with artifact.new_file("f.txt") as file:
                file.write(kind)
            try:
                run.log_artifact(artifact).wait()
            except ValueError as error:
                said = str(error)
        run.finish()
        print(json.dumps([said]))
    """)
    assert "already exists with type 'dataset'" in found[0]
