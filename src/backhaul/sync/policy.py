"""What a user leaves out of a sync. Nothing of it is lost: a later sync without the wish sends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol, Self

from backhaul.errors import UsageError


class LoggedArtifact(Protocol):
    """What of an artifact's record decides; a record of the log is one."""

    @property
    def type(self) -> str:
        """Its type."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def aliases(self) -> Sequence[str]:
        """Its aliases as they were logged."""


@dataclass(frozen=True, slots=True)
class ArtifactPattern:
    """Artifacts whose name matches the glob `name` and that hold one of `aliases` at the end (none: any version)."""

    name: str
    aliases: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str) -> Self:
        """The pattern that `NAME` or `NAME:ALIAS,ALIAS` writes. Raises UsageError."""
        name, colon, listed = text.partition(":")
        aliases = frozenset(alias.strip() for alias in listed.split(",") if alias.strip())
        if not name or (colon and not aliases):
            raise UsageError(f"{text!r} names no artifact; write NAME or NAME:ALIAS,ALIAS.")
        return cls(name, aliases)


@dataclass(frozen=True, slots=True)
class ArtifactPolicy:
    """Which of a run's artifacts are sent: none, those that match one of `only`, or all when `only` is empty."""

    only: tuple[ArtifactPattern, ...] = ()
    none: bool = False

    @classmethod
    def of(cls, only: Iterable[str], *, none: bool) -> Self:
        """The policy of the options. Raises UsageError when they contradict each other."""
        patterns = tuple(ArtifactPattern.of(text) for text in only)
        if none and patterns:
            raise UsageError("--no-artifacts leaves all artifacts out, so that --only-artifacts can choose none.")
        return cls(patterns, none)

    def left_out(self, artifacts: Sequence[LoggedArtifact]) -> dict[int, str]:
        """Why artifacts are left out, by their place in `artifacts`, which are in the order in which they were logged.

        An alias belongs to the last version that was logged with it: `latest`, which the SDK writes to every one, is
        the last.
        """
        if self.none:
            return dict.fromkeys(range(len(artifacts)), "no artifacts are wanted")
        if not self.only:
            return {}
        holders = {
            _key(artifact, alias): place for place, artifact in enumerate(artifacts) for alias in artifact.aliases
        }
        return {
            place: "not among the artifacts that are wanted"
            for place, artifact in enumerate(artifacts)
            if not self._chooses(
                artifact, [alias for alias in artifact.aliases if holders[_key(artifact, alias)] == place]
            )
        }

    def _chooses(self, artifact: LoggedArtifact, held: Sequence[str]) -> bool:
        return any(
            fnmatchcase(artifact.name, pattern.name) and (not pattern.aliases or not pattern.aliases.isdisjoint(held))
            for pattern in self.only
        )


def _key(artifact: LoggedArtifact, alias: str) -> tuple[str, str, str]:
    return artifact.type, artifact.name, alias
