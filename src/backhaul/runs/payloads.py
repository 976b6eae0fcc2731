"""The files of a run: those that the log names, and those that are made from it. Nothing is written into `files/`."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backhaul.errors import PayloadMissing, UnreadableFile
from backhaul.runs.recorded_path import recorded_path
from backhaul.runs.roots import AS_RECORDED, Roots
from backhaul.runs.sight import file_size, is_folder, link_of
from backhaul.runs.whereabouts import whereabouts_of

MADE_FROM_LOG = frozenset({"config.yaml", "output.log", "wandb-metadata.json", "wandb-summary.json"})
"""What every program that sends a run makes of its log, each in its own words, whatever lies in `files/`."""

_READ_SIZE = 1 << 20
# Patterns of `run.save("*.pt")` that old SDKs logged; a name with these characters that exists is a file all the same.
_GLOB_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Payload:
    """A file to send: its name on the server (slashes, relative), where its content lies, or the content itself."""

    name: str
    path: Path | None = None
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Digest:
    """Size in bytes and MD5 of a payload; MD5 as W&B writes it, base64 of the 16 bytes."""

    size: int
    md5: str


def recorded_payloads(
    files: Path, names: Iterable[str], *, all_on_disk: bool, roots: Roots = AS_RECORDED
) -> Iterator[Payload | PayloadMissing]:
    """The files that the log names, each as a payload or, where there is none, as the error that says so.

    `files` is the run's `files/` folder. `all_on_disk` adds every file in it: the Python engine (SDK to 0.17) uploaded
    the whole folder and did not log each name. Links are followed: `run.save` makes links to the originals, which may
    have been moved with the run, or lie under other `roots`.
    """
    for name in saved_names(files, names, all_on_disk=all_on_disk):
        yield _named(files, name, roots) or _missing(files, name)


def saved_names(files: Path, names: Iterable[str], *, all_on_disk: bool) -> Iterator[str]:
    """The names of the files that the log names, there or gone; with `all_on_disk`, then those of all that lie there.

    A folder is no file: `run.save("out/*")` names all that matches. Nor is a pattern, which the Python engine logged
    as it was given, nor a pipe or socket that lies in the folder.
    """
    seen = dict.fromkeys(_name_here(files, name) for name in names)
    for name in seen:
        no_file = (all_on_disk and _GLOB_CHARACTERS & set(name)) or is_folder(files / name)
        if not no_file or _named(files, name, AS_RECORDED) is not None:
            yield name
    for name in names_on_disk(files) if all_on_disk else ():
        if name not in seen and _lies_there(files / name):
            yield name


def saved_folders(files: Path, names: Iterable[str]) -> list[str]:
    """The names that the log gives to folders: `run.save("out/*")` names all that matches, and servers keep files."""
    here = dict.fromkeys(_name_here(files, name) for name in names)
    return [name for name in here if is_folder(files / name)]


def digest_of(payload: Payload) -> Digest:
    """Size and MD5 of a payload's content; raises PayloadMissing or UnreadableFile."""
    size, md5 = 0, hashlib.md5(usedforsecurity=False)
    for block in blocks_of(payload):
        size += len(block)
        md5.update(block)
    return Digest(size, b64encode(md5.digest()).decode())


def content_of(payload: Payload) -> bytes:
    """A payload's whole content; raises PayloadMissing or UnreadableFile."""
    return b"".join(blocks_of(payload))


def blocks_of(payload: Payload) -> Iterator[bytes]:
    """A payload's content piece by piece; raises PayloadMissing or UnreadableFile."""
    if payload.path is None:
        yield payload.content
        return
    try:
        with payload.path.open("rb") as file:
            while block := file.read(_READ_SIZE):
                yield block
    except FileNotFoundError as error:
        raise PayloadMissing(f"The run saved {payload.name}, which is not at {payload.path}.") from error
    except OSError as error:
        raise UnreadableFile(f"{payload.path} cannot be read: {error.strerror or error}") from error


def _name_here(files: Path, name: str) -> str:
    r"""A logged name; `media\table.json` of a log from Windows as servers and this system call it, if it lies there."""
    here = name.replace("\\", "/")
    return here if here != name and _lies_there(files / here) and not _lies_there(files / name) else name


def _lies_there(path: Path) -> bool:
    return file_size(path) is not None or link_of(path) is not None or is_folder(path)


def _named(files: Path, name: str, roots: Roots) -> Payload | None:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        return None
    path = saved_at(files / relative, files, roots)
    return None if path is None else Payload(name, path)


def saved_at(path: Path, files: Path, roots: Roots = AS_RECORDED) -> Path | None:
    """Where a saved file's content lies; `path` is its place under `files`, which may be a link that leads nowhere.

    None when it is gone.
    """
    if file_size(path) is not None:
        return path
    target = link_of(path)
    link = None if target is None else recorded_path(str(target))
    if link is None or not link.is_absolute():
        return None
    return next((place for place in whereabouts_of(files, roots).places(link) if file_size(place) is not None), None)


def dangling(path: Path) -> str:
    """Where a dangling link points to, in brackets: what the user has to bring back. Empty for what is no link."""
    link = link_of(path)
    return "" if link is None else f" (a link to {link}, which is not there)"


def _missing(files: Path, name: str) -> PayloadMissing:
    """The error for a file that is gone: what the user has to bring back."""
    path = files / name
    told = f"The run saved {name}, which is not at {path}{dangling(path)}."
    if link_of(path) is None:
        return PayloadMissing(told)
    return PayloadMissing(
        told,
        next="Bring it back, or say where the recording machine's folders lie now, with `--root OLD=NEW`; then run the "
        "same command again.",
    )


def names_on_disk(files: Path) -> Iterator[str]:
    """The names of all that lies in a `files` folder and is no folder, links that lead nowhere too, in order."""
    for folder, _, names in sorted(os.walk(files)):
        yield from (Path(folder, name).relative_to(files).as_posix() for name in sorted(names))
