"""Files and contents that lie outside the run directory, after the folders were moved or copied elsewhere."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..command import Backhaul, bare_env, record
from ..conftest import DepotProcess
from ..depot_contents import held

_RUN = """
    import os, wandb
    os.makedirs("data")
    for name in ("saved", "kept", "hashed"):
        with open(f"data/{name}.txt", "w") as file:
            file.write(name * 100)
    quiet = wandb.Settings(console="off", x_disable_stats=True)
    with wandb.init(project="recorded", id="moved", settings=quiet) as run:
        run.save("data/saved.txt", base_path=".")
        artifact = wandb.Artifact("contents", "dataset")
        artifact.add_file("data/kept.txt", policy="immutable")
        run.log_artifact(artifact)
        hashed = wandb.Artifact("hashed", "dataset", digest_algorithm="XXH128")
        hashed.add_file("data/hashed.txt", policy="immutable", skip_cache=True)
        run.log_artifact(hashed)
        run.log({"loss": 1})
"""


@dataclass(frozen=True)
class Gone:
    """A project as it was recorded at `old`, where nothing is any more, and a copy of it."""

    old: Path
    tree: Path

    def tree_at(self, place: Path) -> Path:
        """The whole tree at another place; its run directory."""
        (run,) = Path(shutil.copytree(self.tree, place, symlinks=True)).glob("wandb/offline-run-*")
        return run


@pytest.fixture(scope="module")
def gone(tmp_path_factory: pytest.TempPathFactory) -> Gone:
    """Recorded once for all tests of this module."""
    home = tmp_path_factory.mktemp("moved")
    record(_RUN, home / "ada" / "project", bare_env(home))
    return Gone(home / "ada" / "project", (home / "ada" / "project").rename(home / "stash"))


def _whole(depot: DepotProcess, project: str) -> None:
    there = held(depot.data, project, "moved")
    assert there.files["data/saved.txt"] == b"saved" * 100
    assert sorted(artifact.collection.name for artifact in there.logged) == ["contents", "hashed"]
    assert all(artifact.committed for artifact in there.logged)


def test_a_tree_that_moved_as_a_whole_needs_no_word(
    backhaul: Backhaul, depot: DepotProcess, gone: Gone, project: str, tmp_path: Path
) -> None:
    """The project's folder under another home: links and contents are found in it, also those known by XXH128."""
    done = backhaul.sync(gone.tree_at(tmp_path / "elsewhere" / "project"), "-p", project)

    assert (done.exit_code, done.only["quarantined"]) == (0, []), done.stderr
    _whole(depot, project)


def test_what_lies_elsewhere_is_named_and_found_under_the_root_that_the_user_names(
    backhaul: Backhaul, depot: DepotProcess, gone: Gone, project: str, tmp_path: Path
) -> None:
    """Without `--root` each is missing by name, and the rest arrives; with it the same command brings them."""
    run = gone.tree_at(tmp_path / "of another name")
    new = Path(shutil.copytree(gone.tree / "data", tmp_path / "store" / "other name"))
    root = f"{gone.old}/data={new}"
    shutil.rmtree(run.parents[1] / "data")

    without = backhaul.sync(run, "-p", project)
    planned = backhaul.sync(run, "-p", project, "--dry-run", "--root", root)
    done = backhaul.sync(run, "-p", project, "--root", root)
    checked = backhaul("verify", run, "-p", project, "--root", root, "--json")

    told = {item["what"]: item for item in without.only["quarantined"]}
    assert (without.exit_code, sorted(told)) == (6, ["artifact contents", "artifact hashed", "file"])
    assert all("--root" in item["next"] for item in told.values())
    assert f"{gone.old}/data/saved.txt" in told["file"]["reason"]
    assert planned.only["quarantined"] == []
    assert (done.exit_code, done.only["quarantined"]) == (0, []), done.stderr
    assert checked.exit_code == 0, checked.stderr
    _whole(depot, project)


def test_a_file_of_the_same_name_with_other_content_is_not_taken(
    backhaul: Backhaul, depot: DepotProcess, gone: Gone, project: str, tmp_path: Path
) -> None:
    """The digest decides; it is told where the other one lies."""
    run = gone.tree_at(tmp_path / "elsewhere" / "project")
    other = run.parents[1] / "data" / "kept.txt"
    other.write_text("KEPT" * 100)

    done = backhaul.sync(run, "-p", project)

    assert done.exit_code == 6
    (item,) = done.only["quarantined"]
    assert item["what"] == "artifact contents"
    assert f"{other} has other content" in item["reason"]
    assert [artifact.collection.name for artifact in held(depot.data, project, "moved").logged] == ["hashed"]
