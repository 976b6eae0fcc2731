"""Where what was recorded at an absolute path may lie now."""

from __future__ import annotations

from pathlib import Path

import pytest

from backhaul.errors import UsageError
from backhaul.runs.roots import Roots, roots_of
from backhaul.runs.whereabouts import Whereabouts

_RUN = Path("/mnt/copy/project/wandb/offline-run-20260101_000000-a")


def test_the_recorded_place_comes_before_guesses() -> None:
    """What still lies there is what was recorded."""
    assert next(Whereabouts(_RUN).places(Path("/home/alice/project/a.bin"))) == Path("/home/alice/project/a.bin")


def test_a_root_that_the_user_names_takes_the_place_of_the_old_one() -> None:
    """Only for what lay under it: whole names count, not beginnings of names."""
    places = Whereabouts(_RUN, roots_of(["/home/alice=/data/old", "/home/al=/no"]))
    assert Path("/data/old/x/a.bin") in places.places(Path("/home/alice/x/a.bin"))
    assert not any(str(place).startswith(("/no", "/data")) for place in places.places(Path("/home/alicia/x/a.bin")))


def test_a_tree_that_moved_with_the_run_is_found_by_the_name_of_its_folder() -> None:
    """`project` above the run stands for the `project` that was recorded."""
    assert Path("/mnt/copy/project/data/a.bin") in Whereabouts(_RUN).places(Path("/home/alice/project/data/a.bin"))
    assert len(list(Whereabouts(_RUN).places(Path("/home/alice/other/data/a.bin")))) == 1


def test_what_can_be_told_by_its_content_is_looked_for_under_every_folder_above() -> None:
    """A home that was copied, whatever it is called now."""
    places = set(Whereabouts(Path("/mnt/old/alice/p/wandb/run")).possible(Path("/home/bob/.local/share/wandb/x/tmp1")))
    assert Path("/mnt/old/alice/.local/share/wandb/x/tmp1") in places


def test_a_relative_path_is_looked_for_above_the_run_and_under_new_roots() -> None:
    """The SDK records what the script gave, and the folder in which it ran is not in the record."""
    places = set(Whereabouts(_RUN, roots_of(["/home/alice/data=/store"])).possible(Path("data/a.bin")))
    assert {Path("/mnt/copy/project/data/a.bin"), Path("/store/a.bin")} <= places


def test_in_a_bundle_nothing_else_counts() -> None:
    """What lies elsewhere under a recorded path of another machine is not what was meant."""
    places = Whereabouts(_RUN, Roots(((Path("/home"), Path("/bundle")),), enclosed=True))
    assert list(places.places(Path("/home/project/a"))) == [Path("/bundle/project/a")]
    assert list(places.possible(Path("/home/project/a"))) == []


@pytest.mark.parametrize("text", ["", "=", "/a", "/a=", "=b", "a=b"])
def test_what_is_no_root_is_told(text: str) -> None:
    """With the form that it should have."""
    with pytest.raises(UsageError, match="OLD=NEW"):
        roots_of([text])
