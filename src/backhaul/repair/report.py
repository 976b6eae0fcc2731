"""What a repair did: for the screen and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backhaul.errors import LogDamaged
from backhaul.wandblog import Damage, LogEnd


@dataclass(frozen=True, slots=True)
class RepairReport:
    """The outcome of one repair.

    `path` is the damaged log, `output` the new one. `kept` records were carried as they are, or made from the run's
    other files (`recovered`). `lost` records were destroyed inside the log (None: their number cannot be known);
    `complete` says that none were. `left_out` counts readable records that were not carried, by reason; `changes` tells
    what was added or mended, `missing` what was not found again, `notes` what else to know.
    """

    path: Path
    output: Path
    run_id: str
    end: LogEnd
    kept: int
    lost: int | None
    complete: bool
    damage: Sequence[Damage] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    changes: Sequence[str] = ()
    recovered: Sequence[str] = ()
    missing: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """9 when records were lost, else 0. A torn last record is how a killed run ends, and no loss to tell by."""
        return 0 if self.complete else LogDamaged.exit_code

    def as_json(self) -> dict[str, Any]:
        """The document of `repair --json`."""
        return {
            "path": str(self.path),
            "output": str(self.output),
            "run_id": self.run_id,
            "end": str(self.end),
            "records": {"kept": self.kept, "lost": self.lost},
            "damage": [_damage_as_json(damage) for damage in self.damage],
            "left_out": dict(self.left_out),
            "changes": list(self.changes),
            "recovered": list(self.recovered),
            "missing": list(self.missing),
            "notes": list(self.notes),
            "exit_code": self.exit_code,
        }


def _damage_as_json(damage: Damage) -> dict[str, Any]:
    """`numbers` are the first and the last record lost by it, null when none is or that cannot be known."""
    numbers = [damage.numbers[0], damage.numbers[-1]] if damage.numbers else None
    return {"offset": damage.offset, "length": damage.length, "kind": str(damage.kind), "numbers": numbers}
