"""What is looked at before a job starts: will its runs be recorded where they are looked for, and find their way home?

Nothing of it refuses a job. Each warning is one sentence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backhaul.errors import BackhaulError, ConfigurationError
from backhaul.runs.here import here
from backhaul.runs.home import home
from backhaul.sync.depot_folder import default_data_folder
from backhaul.sync.state_folder import state_folder
from backhaul.sync.target import OWN_DEPOT, Target
from backhaul.wire.credentials import find_api_key
from backhaul.wire.settings import load_settings


def warnings(roots: Sequence[Path], target: Target, env: Mapping[str, str], *, sync: bool) -> Iterator[str]:
    """What the user should know before the job writes into `roots` and its runs are sent to `target`."""
    yield from _mode(env)
    try:
        kept = [state_folder()]
    except ConfigurationError as error:
        yield f"{error.message} {error.next}"
        kept = []
    for place in (*roots, *kept):
        there = next((folder for folder in (place, *place.parents) if folder.exists()), place)
        if not os.access(there, os.W_OK | os.X_OK):
            yield f"{place} cannot be written; {_of(place, roots)}"
    if sync:
        yield from _way_home(target, env)


def _of(place: Path, roots: Sequence[Path]) -> str:
    if place in roots:
        return "wandb will record in a temporary folder, which may be gone after the job"
    return "receipts and the queue of waiting runs lie there"


def _mode(env: Mapping[str, str]) -> Iterator[str]:
    mode = env.get("WANDB_MODE", "").lower()
    if mode in ("disabled", "online", "shared", "run"):
        yield f"WANDB_MODE={mode} is set: only runs that are recorded offline can be brought home"


def _way_home(target: Target, env: Mapping[str, str]) -> Iterator[str]:
    try:
        settings = load_settings(env, here(), home())
        yield from settings.warnings
        if target.to != OWN_DEPOT:
            find_api_key(target.to or settings.base_url, settings, env, home())
        elif not os.access(default_data_folder().parent, os.W_OK) and default_data_folder().parent.exists():
            yield f"the depot cannot keep anything in {default_data_folder()}"
    except (BackhaulError, OSError) as error:
        yield f"the runs will not find their way home: {error}"
