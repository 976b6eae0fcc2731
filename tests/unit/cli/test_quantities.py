"""Numbers with units, as people write them and as we show them."""

from __future__ import annotations

import click
import pytest

from backhaul.cli.quantities import BYTES
from backhaul.cli.render import size


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("17", 17),
        ("500K", 512_000),
        ("1.5 GiB", 1_610_612_736),
        ("2m", 2_097_152),
        ("3TB", 3 * 1024**4),
        ("9" * 400, int("9" * 400)),
    ],
)
def test_sizes_are_read_with_units_of_1024(text: str, number: int) -> None:
    """With or without a blank, an i, a B, in either case."""
    assert BYTES.convert(text, None, None) == number


@pytest.mark.parametrize("text", ["", "K", "many", "-5", "1e9", "5X", "1..2"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """With an example of what would be."""
    with pytest.raises(click.BadParameter, match="500K"):
        BYTES.convert(text, None, None)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_610_612_736, "1.5 GiB"), (5e12, "4656.6 GiB")],
)
def test_sizes_are_shown_in_the_largest_unit_that_fits(number: float, text: str) -> None:
    """Rounded to one digit."""
    assert size(number) == text
