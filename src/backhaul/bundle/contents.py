"""What goes into a bundle: whole run directories, and what their logs name, wherever it lies now."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from backhaul.bundle.manifest import Missing, PackedRun, Root
from backhaul.bundle.named import NamedByLog, named_by
from backhaul.errors import BackhaulError, PayloadMissing, UnreadableFile, UsageError
from backhaul.runs.artifacts import Entry, artifact_of
from backhaul.runs.content_places import ContentPlaces, content_places
from backhaul.runs.directory import OF_THE_SDK, RunDirectory, is_run_directory_name
from backhaul.runs.life import RECORDING_NOTE
from backhaul.runs.open_files import files_open_for_writing
from backhaul.runs.payloads import dangling, recorded_payloads
from backhaul.runs.recorded_path import recorded_path
from backhaul.sync.checkpoints import SUFFIXES
from backhaul.sync.ledger import SUFFIX as LEDGER

_BESIDE_THE_LOG = ("", ".synced", ".syncstate", LEDGER)
# What is of no use elsewhere: unfinished files, and all of a ledger but itself.
_PASSING = (".part", RECORDING_NOTE, *(LEDGER + suffix for suffix in (".new", ".owner", *SUFFIXES)))
_PATTERN = frozenset("*?[")
_RUNS, _PAYLOADS = "wandb", "payloads"


@dataclass(frozen=True, slots=True)
class Source:
    """A file to pack: its name in the bundle and where it lies. Of one that grows only the first `size` bytes count."""

    name: str
    path: Path
    size: int | None = None


@dataclass(slots=True)
class Contents:
    """Everything for one bundle, each name once."""

    runs: list[PackedRun] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    roots: list[Root] = field(default_factory=list)

    def add(self, source: Source) -> bool:
        """Take a file in; False when its name stands for another one."""
        return self.sources.setdefault(source.name, source).path == source.path


def contents_of(
    directories: Iterable[RunDirectory], env: Mapping[str, str], home: Path, *, references: bool = True
) -> Contents:
    """What to pack for these runs. Reads every log, and the contents of artifacts. With `references` local files that
    artifacts only refer to come along too.

    What cannot be read or is not there is told in `missing`, never raised.
    """
    contents = Contents()
    # One look at all processes serves every run.
    recording = files_open_for_writing()
    for directory in directories:
        _Taking(contents, directory, content_places(env, home, directory.files), references).take(recording)
    return contents


def refuse_inside(target: Path, directories: Iterable[RunDirectory]) -> None:
    """Raises UsageError for a bundle that would be made in a run directory: nothing is written there."""
    place = target.parent.resolve()
    for directory in directories:
        if is_run_directory_name(directory.path.name) and place.is_relative_to(directory.path):
            raise UsageError(f"{target} lies in a run directory, {directory.path}.", next="Name another place with -o.")


@dataclass(slots=True)
class _Taking:
    """Takes one run directory in."""

    contents: Contents
    directory: RunDirectory
    places: ContentPlaces
    references: bool
    at: str = ""

    def take(self, recording: frozenset[str]) -> None:
        directory, log = self.directory, self.directory.log
        self.at = f"{self._root(directory.path.parent)}/{directory.path.name}"
        size = log.stat().st_size if log.is_file() else None
        named = named_by(log)
        goes_on = str(log.resolve()) in recording and not named.has_exit
        self._add(log, size=named.whole_size if goes_on else size)
        identity = named.identity
        self.contents.runs.append(
            PackedRun(
                self.at,
                log.name,
                identity.run_id if identity else directory.run_id_hint,
                identity.entity if identity else "",
                identity.project if identity else "",
                identity.display_name if identity else "",
                goes_on,
            )
        )
        if named.error is not None:
            self._miss("what the log names", log, named.error)
        self._take_files(named)
        self._take_directory(with_files=named.by_python_engine)
        for record in named.artifacts:
            self._take_artifact(record)

    def _root(self, folder: Path) -> str:
        """The name under which a folder with run directories stands in the bundle."""
        for root in self.contents.roots:
            if root.was == str(folder) and root.at.startswith(_RUNS):
                return root.at
        number = sum(root.at.startswith(_RUNS) for root in self.contents.roots) + 1
        root = Root(_RUNS if number == 1 else f"{_RUNS}-{number}", str(folder))
        self.contents.roots.append(root)
        return root.at

    def _add(self, path: Path, *, size: int | None = None) -> None:
        relative = path.relative_to(self.directory.path).as_posix()
        self.contents.add(Source(f"{self.at}/{relative}", path, size))

    def _take_files(self, named: NamedByLog) -> None:
        files = self.directory.files
        for name in named.files:
            # Old SDKs logged patterns too; a name that has such characters and is not there is taken for one.
            is_pattern = named.by_python_engine and not _PATTERN.isdisjoint(name)
            for found in recorded_payloads(files, [name], all_on_disk=False):
                if not isinstance(found, PayloadMissing):
                    self.contents.add(Source(f"{self.at}/files/{name}", found.path or files / name))
                elif not is_pattern:
                    self._miss(f"file {name}", files / name, found)

    def _take_directory(self, *, with_files: bool) -> None:
        """Every file of the run directory; of a folder that is none by its name only what belongs to the log.

        `with_files` says that the log does not name each of the run's files.
        """
        top = self.directory.path
        if not is_run_directory_name(top.name):
            beside = (self.directory.log.with_name(self.directory.log.name + suffix) for suffix in _BESIDE_THE_LOG)
            self._take_all(path for path in beside if path.is_file())
            top = self.directory.files
            if not with_files:
                return
        closed: list[OSError] = []
        self._take_all(path for path in _files_below(top, closed) if not path.name.endswith(_PASSING))
        for error in closed:
            reason = f"It cannot be looked into: {error.strerror}."
            self.contents.missing.append(Missing(self.at, "folder", str(error.filename), reason))

    def _take_all(self, paths: Iterable[Path]) -> None:
        told = {item.path for item in self.contents.missing}
        for path in paths:
            if path.is_file():
                self._add(path, size=_growing_size(path))
            elif str(path) not in told:
                needed = path.relative_to(self.directory.path).parts[0] not in OF_THE_SDK
                reason = f"It is no file{dangling(path)}."
                self.contents.missing.append(Missing(self.at, "file", str(path), reason, needed))

    def _take_artifact(self, record: object) -> None:
        listed = recorded_path(record.manifest.manifest_file_path)  # type: ignore[attr-defined]
        name = record.name  # type: ignore[attr-defined]
        if str(listed) != "." and (there := self.places.moved(listed)) is not None:
            self._take_payload(listed, there)
        try:
            artifact = artifact_of(record, self.places.whereabouts)
        except (PayloadMissing, UnreadableFile) as error:
            self._miss(f"list of the artifact {name}", listed, error)
            return
        for entry in artifact.entries:
            try:
                self._take_entry(entry)
            except (PayloadMissing, UnreadableFile) as error:
                self._miss(f"{entry.path} of the artifact {name}", _place_of(entry), error)

    def _take_entry(self, entry: Entry) -> None:
        if entry.has_content:
            found = self.places.find(entry)
            assert found.path is not None
            self._take_payload(recorded_path(entry.local_path), found.path)
        elif self.references and entry.ref.startswith("file:"):
            there = self.places.moved(referred := _place_of(entry))
            if there is None:
                raise PayloadMissing("The reference leads to a local file that is not there.")
            self._take_payload(referred, there)

    def _take_payload(self, recorded: Path, there: Path) -> None:
        """Take in what was recorded at `recorded`; two files that were there one after the other are both kept."""
        recorded = Path(os.path.normpath(recorded))
        if self._is_taken(recorded, there):
            return
        number = 1
        while True:
            root = Root(_PAYLOADS if number == 1 else f"{_PAYLOADS}-{number}", "/")
            if self.contents.add(Source(f"{root.at}{recorded.as_posix()}", there)):
                break
            number += 1
        if root not in self.contents.roots:
            self.contents.roots.append(root)

    def _is_taken(self, recorded: Path, there: Path) -> bool:
        """Whether it lies in a run directory that is packed, at its own place."""
        for root in self.contents.roots:
            if recorded.is_relative_to(root.was) and root.was != "/":
                source = self.contents.sources.get(f"{root.at}/{recorded.relative_to(root.was).as_posix()}")
                if source is not None and source.path == there:
                    return True
        return False

    def _miss(self, what: str, path: Path, error: BackhaulError) -> None:
        self.contents.missing.append(Missing(self.at, what, str(path), error.message))


def _place_of(entry: Entry) -> Path:
    return recorded_path(entry.local_path or unquote(urlsplit(entry.ref).path))


def _files_below(folder: Path, closed: list[OSError]) -> Iterator[Path]:
    """Every entry that is no folder; links to files are files. Folders that are links are not gone into.

    Those that cannot be looked into are put into `closed`.
    """
    for top, folders, names in os.walk(folder, onerror=closed.append):
        folders.sort()
        yield from (Path(top, name) for name in sorted(names))


def _growing_size(path: Path) -> int | None:
    """Of a ledger, to which a sync may add at any time, what is there now is enough."""
    return path.stat().st_size if path.suffix == LEDGER else None
