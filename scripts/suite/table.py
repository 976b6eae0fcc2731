"""The table: how many tests passed, and why the others did not."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_OUTCOMES = ("passed", "failed", "skipped", "xfailed")
_ROOT = "tests/system_tests/"
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Result:
    """How one test ended; `server` says that it needs one."""

    test: str
    outcome: str
    server: bool
    reason: str

    @property
    def module(self) -> str:
        """The file of the test."""
        return self.test.partition("::")[0].removeprefix(_ROOT)


def read(path: Path) -> list[Result]:
    """The results of a run, one a test: of several phases the worst counts."""
    found: dict[str, Result] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        result = _result(json.loads(line))
        before = found.get(result.test)
        if before is None or before.outcome != "failed":
            found[result.test] = result
    return sorted(found.values(), key=lambda result: result.test)


def _result(fields: dict[str, object]) -> Result:
    outcome = str(fields["outcome"])
    if fields["expected"]:
        outcome = "xfailed" if outcome == "skipped" else outcome
    return Result(str(fields["test"]), outcome, bool(fields["server"]), str(fields["reason"]))


def markdown(results: list[Result], every: bool) -> str:
    """The whole report."""
    parts = [summary(results), _by_module(results), _listed("Failed", results, "failed")]
    parts.append(_listed("Skipped", results, "skipped"))
    if every:
        parts.append("\n".join(f"- {each.outcome}: `{each.test.removeprefix(_ROOT)}`" for each in results))
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(results: list[Result]) -> str:
    """The counts in two lines."""
    needing = [result for result in results if result.server]
    return f"Tests that need a server: {_counts(needing)}.\n\nAll that were run: {_counts(results)}."


def _counts(results: list[Result]) -> str:
    counted = Counter(result.outcome for result in results)
    told = ", ".join(f"{counted[outcome]} {outcome}" for outcome in _OUTCOMES if counted[outcome])
    return f"{len(results)}: {told or 'none'}"


def _by_module(results: list[Result]) -> str:
    modules: dict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        modules[result.module][result.outcome] += 1
    rows = [f"| `{module}` | {_cells(counted)} |" for module, counted in sorted(modules.items())]
    return "\n".join([f"| module | {' | '.join(_OUTCOMES)} |", "|---|" + "---:|" * len(_OUTCOMES), *rows])


def _cells(counted: Counter[str]) -> str:
    return " | ".join(str(counted[outcome] or "") for outcome in _OUTCOMES)


def _listed(title: str, results: Iterable[Result], outcome: str) -> str:
    rows = [
        f"| `{each.test.removeprefix(_ROOT)}` | {_short(each.reason)} |" for each in results if each.outcome == outcome
    ]
    return "\n".join([f"## {title}", "", "| test | reason |", "|---|---|", *rows]) if rows else ""


def _short(reason: str) -> str:
    text = " ".join(reason.split()).replace("|", "\\|")
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"
