"""Makes a table, module by module, of what `mutmut results --all true` prints; ends with 1 below 90 %.

A change that makes the tests run out of time is noticed. One that was not tried does not count.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

_NOTICED = ("killed", "timeout", "segfault", "suspicious")
_WANTED = 0.9


def _counts(lines: Iterable[str]) -> Mapping[str, Counter[str]]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in lines:
        name, _, status = line.strip().rpartition(": ")
        if status and status != "not checked":
            counts[name.split(".")[-2]][status] += 1
    return counts


def _row(module: str, count: Counter[str]) -> tuple[str, float]:
    noticed = sum(count[status] for status in _NOTICED)
    share = noticed / count.total()
    return f"{module:12} {count.total():7} {noticed:7} {count.total() - noticed:7}   {share:6.1%}", share


def main() -> int:
    """Print the table; 1 when fewer than 90 % of all changes were noticed."""
    counts = _counts(sys.stdin)
    if not counts:
        print("no change was tried", file=sys.stderr)
        return 1
    print(f"{'module':12} {'changes':>7} {'noticed':>7} {'missed':>7}   {'score':>6}")
    for module, count in sorted(counts.items()):
        print(_row(module, count)[0])
    total, share = _row("all", sum(counts.values(), Counter()))
    print(total)
    return int(share < _WANTED)


if __name__ == "__main__":
    sys.exit(main())
