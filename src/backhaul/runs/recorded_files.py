"""What a run saved beside its log, and whether it is still there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from backhaul.errors import PayloadMissing, UnreadableFile
from backhaul.runs.artifacts import Entry, artifact_of
from backhaul.runs.content_places import ContentPlaces
from backhaul.runs.payloads import saved_at, saved_names
from backhaul.runs.recorded_path import recorded_path
from backhaul.runs.sight import file_size, link_of


@dataclass(frozen=True, slots=True)
class LoggedFile:
    """A file that the run saved: its name on a server, where it should lie, its size in bytes (None: missing).

    `link` is where the SDK's link leads to: `run.save` leaves the content where it was.
    """

    name: str
    path: Path
    size: int | None
    link: Path | None = None

    @property
    def present(self) -> bool:
        """Whether the content can be sent."""
        return self.size is not None


@dataclass(frozen=True, slots=True)
class LoggedArtifact:
    """An artifact that the run logged: `entries` counts its files, `size` their bytes (references have none).

    `missing` are the places at which contents were recorded that are nowhere on this machine (`ContentPlaces`).
    """

    name: str
    type: str
    aliases: tuple[str, ...]
    entries: int
    missing: tuple[Path, ...]
    size: int = 0


def logged_files(files: Path, names: Iterable[str], *, all_on_disk: bool) -> Iterator[LoggedFile]:
    """The files of these names under `files`, then, with `all_on_disk`, every other one that lies there.

    The Python engine (SDK to 0.17) did not log each name. Names that lead out of the folder are missing ones; those of
    folders and patterns are none (`saved_names`).
    """
    for name in saved_names(files, names, all_on_disk=all_on_disk):
        yield _logged(files, name)


def logged_artifact(record: Any, places: ContentPlaces) -> LoggedArtifact:
    """What an ArtifactRecord says, held against the disk. References have no content of their own."""
    try:
        entries = artifact_of(record, places.whereabouts).entries
    except (PayloadMissing, UnreadableFile):
        # The list of the files is itself a file, and it is gone.
        listed = recorded_path(record.manifest.manifest_file_path)
        return LoggedArtifact(record.name, record.type, tuple(record.aliases), 0, (listed,))
    gone = (entry for entry in entries if entry.has_content and not _is_there(entry, places))
    missing = tuple(recorded_path(entry.local_path) for entry in gone)
    size = sum(entry.size for entry in entries if entry.has_content)
    return LoggedArtifact(record.name, record.type, tuple(record.aliases), len(entries), missing, size)


def _is_there(entry: Entry, places: ContentPlaces) -> bool:
    there = places.moved(recorded_path(entry.local_path))
    # Of the recorded size, so most likely what it was; to read contents of gigabytes is a sync's business.
    if there is not None and file_size(there) == entry.size:
        return True
    try:
        places.find(entry)
    except (PayloadMissing, UnreadableFile):
        return False
    return True


def _logged(files: Path, name: str) -> LoggedFile:
    relative = PurePosixPath(name)
    path = files / relative
    if relative.is_absolute() or ".." in relative.parts:
        return LoggedFile(name, path, None)
    found = saved_at(path, files)
    return LoggedFile(name, found or path, None if found is None else file_size(found), link_of(path))
