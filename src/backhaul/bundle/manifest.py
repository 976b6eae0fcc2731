"""The manifest: what is in a bundle, where it lay, and what should be in it and is not."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self, TypeVar

from backhaul.bundle.member import Member, safe_name
from backhaul.errors import NotABundle, UsageError

_FORM = 1
# A manifest has some 300 bytes for each file, and is held in memory: this bounds what a crafted bundle can cost.
MANIFEST_SIZE = 128 << 20


@dataclass(frozen=True, slots=True)
class Root:
    """A folder of the machine that packed (`was`, absolute) and what stands for it in the bundle (`at`)."""

    at: str
    was: str


@dataclass(frozen=True, slots=True)
class PackedRun:
    """A run directory in the bundle.

    `at` is the folder, `log` the name of the log in it, `recording` says that the run went on when it was packed: the
    log is the part of it that was whole by then.
    """

    at: str
    log: str
    run_id: str
    entity: str = ""
    project: str = ""
    name: str = ""
    recording: bool = False

    @property
    def log_member(self) -> str:
        """The log's name in the bundle."""
        return f"{self.at}/{self.log}"


@dataclass(frozen=True, slots=True)
class Missing:
    """What a run names and the bundle does not have.

    `run` is the run's folder in the bundle, `path` where it should have been; `needed` says that a sync would send it.
    """

    run: str
    what: str
    path: str
    reason: str
    needed: bool = True


_Item = TypeVar("_Item", Root, PackedRun, Missing)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that is known of a bundle; `made_at` is UTC, ISO 8601."""

    bundle: str
    made_at: str
    made_by: str
    host: str
    roots: tuple[Root, ...] = ()
    runs: tuple[PackedRun, ...] = ()
    members: tuple[Member, ...] = ()
    missing: tuple[Missing, ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(member.size for member in self.members)

    def note(self) -> Self:
        """What a folder that the bundle was unpacked in is told: where what was, without every file."""
        return replace(self, members=(), missing=())

    def encoded(self) -> bytes:
        """The manifest as it stands in the bundle: JSON, in ASCII, so that names of any bytes pass through."""
        document = {
            "form": _FORM,
            "bundle": self.bundle,
            "made_at": self.made_at,
            "made_by": self.made_by,
            "host": self.host,
            "roots": [asdict(root) for root in self.roots],
            "runs": [asdict(run) for run in self.runs],
            "missing": [asdict(missing) for missing in self.missing],
            "members": [member.as_json() for member in self.members],
        }
        return json.dumps(document, indent=1).encode("ascii") + b"\n"

    @classmethod
    def decoded(cls, data: bytes) -> Self:
        """The manifest in `data`. Raises NotABundle; UsageError for one that only a newer Backhaul reads."""
        try:
            document = json.loads(data)
            if document["form"] > _FORM:
                raise UsageError(
                    f"The bundle was made by a newer Backhaul ({document['made_by']}).",
                    next="Install that version here, then run the same command again.",
                )
            return cls._of(document)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise NotABundle(f"The manifest of the bundle makes no sense: {error}.") from error

    @classmethod
    def _of(cls, document: dict[str, Any]) -> Self:
        members = tuple(Member.of_json(item) for item in document["members"])
        if len({member.name for member in members}) < len(members):
            raise ValueError("a name stands in it twice")
        runs = tuple(_checked(PackedRun(**run)) for run in document["runs"])
        for run in runs:
            safe_name(run.log_member)
        roots = tuple(_checked(Root(**root)) for root in document["roots"])
        for root in roots:
            safe_name(root.at)
        missing = tuple(_checked(Missing(**item)) for item in document["missing"])
        told = {key: str(document[key]) for key in ("bundle", "made_at", "made_by", "host")}
        return cls(**told, roots=roots, runs=runs, members=members, missing=missing)


def _checked(item: _Item) -> _Item:
    """The item itself, if everything in it is of its kind. Raises ValueError."""
    kinds = {"str": str, "bool": bool}
    for each in fields(item):
        if not isinstance(getattr(item, each.name), kinds[str(each.type)]):
            raise ValueError(f"{each.name} is no {each.type}")
    return item
