"""Files of runs that clients bring themselves, as the depot asks for them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from backhaul.depot.model import Awaited, Blob


class AwaitedFiles(Protocol):
    """Which files of runs clients may bring straight to the place of the blobs, and what was found there of each."""

    def expect(self, run_id: int, names: list[str], expires_at: float) -> dict[str, Awaited]:
        """Notes that an address for each of the files was given, which is good until then; the files by name.

        Refused with 404 when the run is gone.
        """

    def still(self, run_id: int, names: Collection[str] | None = None) -> list[Awaited]:
        """The run's files of which less was found than addresses were given; or all of those names, whatever was."""

    def runs(self) -> list[int]:
        """The runs of which there are such files."""

    def take(self, file: Awaited, seen: str, blob: Blob) -> str | None:
        """Makes `blob`, a copy of what was found, the file's content; returns a blob that is needed no longer.

        That is the new one when the file is not awaited any more, or something else was found there meanwhile than
        what `file` says: whoever sees that looks again.
        """

    def over(self, before: float) -> list[Awaited]:
        """Some of those of all runs whose last address expired before then; none when there are no more."""

    def forget(self, files: list[Awaited], before: float) -> list[Awaited]:
        """Awaits those of the files no longer of which nothing is new, and no address either; these."""

    def known(self, ids: Collection[int]) -> set[int]:
        """Those of the numbers that belong to a file that is awaited."""
