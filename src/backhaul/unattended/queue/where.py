"""Where a run is to go, when somebody said so."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from backhaul.sync.target import Target


class Where(NamedTuple):
    """A server, an entity and a project, each empty for what the worker itself is told."""

    to: str = ""
    entity: str = ""
    project: str = ""

    def or_else(self, target: Target) -> Target:
        """The target that this names, `target` filling the gaps."""
        return replace(
            target,
            to=self.to or target.to,
            entity=self.entity or target.entity,
            project=self.project or target.project,
        )
