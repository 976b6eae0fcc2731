"""The one run that a path names, for whoever looks at a single run."""

from __future__ import annotations

import os
from pathlib import Path

from backhaul.errors import UsageError
from backhaul.runs.directory import RunDirectory
from backhaul.runs.find import find_runs
from backhaul.runs.here import here


def single_run(path: Path) -> RunDirectory:
    """The run under `path`, which is any path that `find_runs` takes. Raises NoRunsFound; UsageError for several."""
    runs = find_runs([path], env=os.environ, cwd=here(), include_online=True)
    if len(runs) > 1:
        raise UsageError(
            f"There are {len(runs)} runs under {path}, and one is asked for.",
            next=f"Name one of them, for example {runs[-1].path}.",
        )
    return runs[0]
