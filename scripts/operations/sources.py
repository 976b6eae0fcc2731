"""The client's releases on disk: a checkout, an unpacked archive, a wheel or an sdist, read as one kind of thing."""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_VERSION = re.compile(r"""^__version__ = ["']([^"']+)["']""", re.MULTILINE)
_WANTED_SUFFIXES = (".py", ".graphql", "gql_gen.go")
# Third-party code that is shipped inside the client, and its own tests, ask a W&B server for nothing.
_PASSED_OVER = frozenset({"vendor", "tests", "schemas"})
_LARGEST_FILE = 4 * 1024 * 1024


class NotARelease(ValueError):
    """The path holds no release of the client: no ``wandb/__init__.py`` with a version in it."""


@dataclass(frozen=True)
class Release:
    """One version of the client: its number and the text of each file that may hold GraphQL, by relative path."""

    version: str
    files: dict[str, str] = field(repr=False)

    @property
    def order(self) -> tuple[int, ...]:
        """The version as numbers, so that releases sort by age."""
        return version_order(self.version)


def version_order(version: str) -> tuple[int, ...]:
    """A version as the numbers that sort it: ``0.13.11`` comes after ``0.13.2``."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def read_release(path: Path) -> Release:
    """The release at a directory, wheel or sdist; NotARelease when there is none."""
    files = dict(_texts(path))
    for name, text in files.items():
        version = _VERSION.search(text) if name.endswith("wandb/__init__.py") else None
        if version:
            return Release(version[1], files)
    raise NotARelease(f"no release of the client in {path}")


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    if path.is_dir():
        return _from_directory(path)
    if zipfile.is_zipfile(path):
        return _from_wheel(path)
    if path.is_file() and tarfile.is_tarfile(path):
        return _from_sdist(path)
    raise NotARelease(f"neither a directory nor a wheel nor an sdist: {path}")


def _from_directory(path: Path) -> Iterator[tuple[str, str]]:
    # Handed site-packages, or the package in it, only the client is read, under the name it has in a checkout.
    inside = path / "wandb"
    installed = (inside / "__init__.py").is_file() and not (path / "core").is_dir()
    root = inside if installed else path
    prefix = "wandb/" if root.name == "wandb" and (root / "__init__.py").is_file() else ""
    for file in sorted(root.rglob("*")):
        name = prefix + file.relative_to(root).as_posix()
        if _wanted(name) and file.is_file() and file.stat().st_size <= _LARGEST_FILE:
            yield name, file.read_text("utf-8", errors="replace")


def _from_wheel(path: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if _wanted(info.filename) and info.file_size <= _LARGEST_FILE:
                yield info.filename, archive.read(info).decode("utf-8", errors="replace")


def _from_sdist(path: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if _wanted(member.name) else None
            if stream is not None and member.size <= _LARGEST_FILE:
                yield member.name, stream.read().decode("utf-8", errors="replace")


def _wanted(name: str) -> bool:
    return name.endswith(_WANTED_SUFFIXES) and not _PASSED_OVER.intersection(PurePosixPath(name).parts)
