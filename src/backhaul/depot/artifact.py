"""Artifacts as plain values: collections, versions, manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backhaul.depot.model import Project

LATEST = "latest"
"""The alias of the version that was committed last."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A named series of versions, all of one type; a portfolio is one of links to versions of other collections."""

    id: int
    project: Project
    name: str
    type: str
    created_at: float
    portfolio: bool = False
    description: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Artifact:
    """A version. `version` is its number in the collection, None until it is committed.

    `ttl` is how many seconds it should be kept, -2 for ever; None leaves that to the project.
    """

    id: int
    collection: Collection
    run_id: int | None
    digest: str
    committed: bool
    version: int | None
    description: str | None
    metadata: str | None
    history_step: int | None
    size: int
    file_count: int
    created_at: float
    updated_at: float
    aliases: tuple[str, ...]
    tags: tuple[str, ...] = ()
    ttl: int | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Membership:
    """That a version belongs to a collection: to the one it was logged under, or to a portfolio by a link."""

    collection: Collection
    artifact: Artifact
    version: int
    created_at: float
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Some of the versions in a collection: those behind the number `past` in the order that is asked for.

    Numbers grow with time, and none is given twice: so a page begins where the last one ended, whatever comes or goes
    in between.
    """

    most: int
    past: int | None = None
    oldest_first: bool = False

    def of(self, newest_first: Sequence[Membership]) -> list[Membership]:
        """The same of all versions that somebody sees."""
        found = [each for each in newest_first if self.past is None or self._is_behind(each.version, self.past)]
        return (found[::-1] if self.oldest_first else found)[: self.most]

    def _is_behind(self, version: int, past: int) -> bool:
        return version > past if self.oldest_first else version < past


@dataclass(frozen=True, slots=True)
class Draft:
    """What a client says of a version that it is about to bring.

    With `reuse` any version of the same digest will do instead, without it the latest alone: SDKs before 0.15.10 do not
    ask for it when they log, and promise that what equals the latest version is no new one.
    """

    entity: str
    project: str
    collection: str
    type: str
    digest: str
    aliases: tuple[str, ...]
    run_id: int | None = None
    client_id: str | None = None
    description: str | None = None
    metadata: str | None = None
    history_step: int | None = None
    tags: tuple[str, ...] = ()
    ttl: int | None = None
    reuse: bool = True


@dataclass(frozen=True, slots=True)
class Manifest:
    """The list of an artifact's entries; with a `base_id`, of those that it adds to that version's.

    `digest` is base64 MD5; `blob` is None until the bytes came.
    """

    id: int
    artifact_id: int
    digest: str
    blob: str | None
    size: int | None
    kind: str = "FULL"
    base_id: int | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one or more entries, kept once per project. `birth` is the version that they stay with."""

    blob: str
    size: int
    birth: int


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes that come in parts. `md5` is that of the whole, `parts` those of the parts in their order (hexadecimal).

    `received` are the blobs of the parts that came, by number from 1.
    """

    id: int
    artifact_id: int
    md5: str
    parts: tuple[str, ...]
    received: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a manifest. `md5` is hexadecimal; None for a reference to bytes kept elsewhere."""

    name: str
    md5: str | None
    size: int
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Stray:
    """Contents of a project (by MD5, hexadecimal) that stayed with versions which are deleted now.

    `living` are the committed versions that may need them, `commits` how many were ever committed.
    """

    project_id: int
    digests: frozenset[str]
    living: tuple[int, ...]
    commits: int
