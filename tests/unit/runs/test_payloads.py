"""The files that a log names, and what is told of those that are nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from backhaul.errors import PayloadMissing, UnreadableFile
from backhaul.runs.artifacts import Entry, artifact_of
from backhaul.runs.content_places import content_places
from backhaul.runs.payloads import Payload, recorded_payloads, saved_folders
from backhaul.runs.recorded_files import logged_artifact, logged_files
from backhaul.wandblog.schema import ArtifactRecord

_TOO_LONG = "a" * 300


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The `files` folder of a run, with one file in it."""
    files = tmp_path / "wandb" / "offline-run-20260101_000000-abc" / "files"
    files.mkdir(parents=True)
    (files / "there.txt").write_text("x")
    return files


@pytest.mark.parametrize("name", [_TOO_LONG, "/".join([_TOO_LONG[:200]] * 30), "a\0b", "there.txt/below"])
def test_a_name_that_no_file_here_can_have_is_a_missing_file(files: Path, name: str) -> None:
    """Whoever recorded it may have had a system that allows it; the other files are found all the same."""
    first, second = recorded_payloads(files, [name, "there.txt"], all_on_disk=False)
    assert isinstance(first, PayloadMissing)
    assert second == Payload("there.txt", files / "there.txt")
    assert [file.size for file in logged_files(files, [name, "there.txt"], all_on_disk=False)] == [None, 1]


@pytest.mark.parametrize("recorded", [f"/x/{_TOO_LONG}", _TOO_LONG, "/x\0y", ""])
def test_a_content_at_a_place_that_no_file_here_can_have_is_missing(files: Path, recorded: str) -> None:
    """As any other that is nowhere: told by its path in the artifact, nothing else ends by it."""
    places = content_places({}, files / "home", files)
    with pytest.raises(PayloadMissing, match=r"of a\.bin was recorded"):
        places.find(Entry("a.bin", "rL0Y20zC+Fzt72VPzMSk2A==", 3, local_path=recorded))
    record = ArtifactRecord(name="a")
    record.manifest.manifest_file_path = f"/x/{_TOO_LONG}"
    assert logged_artifact(record, places).missing == (Path("/x", _TOO_LONG),)


def test_an_artifact_of_which_the_log_makes_no_sense_is_told(files: Path) -> None:
    """It is set aside alone, as one whose list of files cannot be read."""
    record = ArtifactRecord()
    record.manifest.contents.add(path="p").extra.add(key="k", value_json="nonsense")
    with pytest.raises(UnreadableFile, match="makes no sense"):
        artifact_of(record, content_places({}, files, files).whereabouts)


def test_a_link_that_leads_nowhere_is_missing_also_when_only_a_pattern_names_it(files: Path) -> None:
    """The Python engine logged `*.pt` for what `run.save("*.pt")` linked: no such file may be lost in silence."""
    (files / "model.pt").symlink_to("/nowhere/model.pt")
    found = list(recorded_payloads(files, ["*.pt"], all_on_disk=True))
    assert [each.message for each in found if isinstance(each, PayloadMissing)] == [
        f"The run saved model.pt, which is not at {files}/model.pt (a link to /nowhere/model.pt, which is not there)."
    ]
    assert [each for each in found if isinstance(each, Payload)] == [Payload("there.txt", files / "there.txt")]


def test_a_name_with_the_backslashes_of_windows_is_the_file_that_lies_below(files: Path) -> None:
    """The SDK logs `media\\table.json` there, and a server's name for it has slashes; a literal name goes before it."""
    (files / "media" / "table").mkdir(parents=True)
    (files / "media" / "table" / "a.json").write_text("xy")
    (files / "literal\\a.json").write_text("x")
    names = ["media\\table", "media\\table\\a.json", "literal\\a.json", "..\\there.txt", "gone\\b.json"]
    sent = list(recorded_payloads(files, names, all_on_disk=False))
    assert [each for each in sent if isinstance(each, Payload)] == [
        Payload("media/table/a.json", files / "media/table/a.json"),
        Payload("literal\\a.json", files / "literal\\a.json"),
    ]
    assert [file.name for file in logged_files(files, names, all_on_disk=False) if not file.present] == names[3:]
    assert saved_folders(files, names) == ["media/table"]


def test_only_what_is_sent_or_missing_is_listed_as_a_file(files: Path) -> None:
    """`run.save("out/*")` names a folder, or is itself what the Python engine logged: neither of them is gone."""
    (files / "out").mkdir()
    (files / "out" / "saved.txt").write_text("xy")
    (files / "gone.pt").symlink_to("/nowhere/gone.pt")
    names = ["out", "out/saved.txt", "out/*", "there.txt", "there.txt"]
    listed = [(file.name, file.size) for file in logged_files(files, names, all_on_disk=True)]
    assert listed == [("out/saved.txt", 2), ("there.txt", 1), ("gone.pt", None)]
    sent = recorded_payloads(files, names, all_on_disk=True)
    assert [each.name for each in sent if isinstance(each, Payload)] == ["out/saved.txt", "there.txt"]
