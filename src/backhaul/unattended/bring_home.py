"""The program that the wrapper starts to bring a job's runs home: `python -m backhaul.unattended.bring_home ORDER`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from backhaul.unattended.made_runs import runs_made
from backhaul.unattended.order import Order


def main(argument: str) -> None:
    """Carry out one order, and print what the wrapper is to say."""
    order = Order.of(argument)
    began = time.monotonic()
    runs = runs_made(map(Path, order.seen), map(Path, order.roots), os.environ, order.since)
    if not runs:
        print("the job has recorded no offline run")
        return
    # Here, since it brings in most of the house: a job without runs needs none of it.
    from backhaul.unattended.bringing import bring_home

    bring_home(runs, order, began)


if __name__ == "__main__":
    main(sys.argv[1])
