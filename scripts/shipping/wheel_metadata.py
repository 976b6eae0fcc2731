"""What a wheel tells of itself: name, version, licence, what it needs."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Self

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_CLASSIFIER = "License :: OSI Approved :: "
# Words of old metadata, and what SPDX calls them (https://spdx.org/licenses/).
_IN_SPDX: Mapping[str, str] = {
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


@dataclass(frozen=True)
class Wheel:
    """One wheel: its canonical name, version, SHA-256, licence as SPDX has it, home page, and whom it may need."""

    path: Path
    name: str
    version: str
    sha256: str
    licence: str
    homepage: str
    requirements: tuple[Requirement, ...]

    @classmethod
    def of(cls, path: Path) -> Self:
        """What the file tells. Raises ValueError when it tells no licence."""
        with zipfile.ZipFile(path) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            metadata = Parser().parsestr(archive.read(name).decode())
        return cls(
            path,
            canonicalize_name(metadata["Name"]),
            metadata["Version"],
            hashlib.sha256(path.read_bytes()).hexdigest(),
            _licence(metadata, path.name),
            _homepage(metadata),
            tuple(Requirement(text) for text in metadata.get_all("Requires-Dist", [])),
        )

    def applying(self, environment: Mapping[str, str], extras: Iterable[str]) -> list[Requirement]:
        """What it needs with these extras, in that environment."""
        asked = [dict(environment) | {"extra": extra} for extra in ("", *extras)]
        return [
            each for each in self.requirements if each.marker is None or any(each.marker.evaluate(one) for one in asked)
        ]

    def needs(self, there: Mapping[str, Wheel], environment: Mapping[str, str], extras: frozenset[str]) -> list[str]:
        """Which of those that are there it needs, with these extras, in that environment."""
        needed = {canonicalize_name(each.name) for each in self.applying(environment, extras)}
        return sorted(needed & there.keys())


def missing(root: str, wheels: Iterable[Wheel], environment: Mapping[str, str], extras: frozenset[str]) -> list[str]:
    """What the wheel named `root` and those that it needs ask for, and none of `wheels` is."""
    there = {wheel.name: wheel for wheel in wheels}
    wanting, seen, absent = [(root, extras)], set[tuple[str, frozenset[str]]](), list[str]()
    while wanting:
        name, asked = wanting.pop()
        if (name, asked) in seen:
            continue
        seen.add((name, asked))
        for each in there[name].applying(environment, asked):
            other = there.get(canonicalize_name(each.name))
            if other is None or not each.specifier.contains(other.version, prereleases=True):
                absent.append(str(each))
            else:
                wanting.append((other.name, frozenset(each.extras)))
    return sorted(set(absent))


def _licence(metadata: Message, name: str) -> str:
    if expression := metadata["License-Expression"]:
        return str(expression)
    told = [
        text.removeprefix(_CLASSIFIER) for text in metadata.get_all("Classifier", []) if text.startswith(_CLASSIFIER)
    ]
    told = told or ([metadata["License"]] if metadata["License"] else [])
    if not told:
        raise ValueError(f"{name} tells no licence")
    return " AND ".join(_IN_SPDX.get(text, text) for text in told)


def _homepage(metadata: Message) -> str:
    urls = dict(text.split(", ", 1) for text in metadata.get_all("Project-URL", []))
    by_name = {name.lower().strip(): url for name, url in urls.items()}
    found = [by_name[name] for name in ("homepage", "repository", "source", "source code") if name in by_name]
    return str(metadata["Home-page"] or (found[0] if found else ""))
