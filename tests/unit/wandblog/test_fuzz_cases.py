"""What the fuzzer found once (`scripts/fuzz`): each case is a program that makes a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ...log_invariants import Program, check

_CASES = sorted(Path(__file__).with_name("fuzz_cases").iterdir())


@pytest.mark.parametrize("case", _CASES, ids=lambda path: path.name)
def test_what_the_fuzzer_found_stays_mended(case: Path, saved: Callable[[bytes], Path]) -> None:
    """Every rule of `log_invariants` holds for a file that broke one before."""
    code = case.read_bytes()
    check(saved(code[1:] if code[:1] == b"\x00" else Program(code[1:]).run()))
