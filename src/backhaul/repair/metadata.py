"""Mending what a server refuses in a run record: tags and job types of more than 64 characters, empty tags."""

from __future__ import annotations

from typing import Any

from backhaul.wandblog.schema import Record

# W&B answers 400 to a tag outside of 1..64 characters and to a longer job type, and the whole run is refused.
MOST_CHARACTERS = 64


def mend_run(data: bytes, changes: list[str]) -> bytes:
    """The bytes of a run's record with tags and job type that a server takes; what was changed is put into `changes`.

    Bytes that need no mending come back as they are. Fields that this reader does not know are kept.
    """
    record = Record.FromString(data)
    before = len(changes)
    _mend_tags(record.run, changes)
    _mend_job_type(record.run, changes)
    return data if len(changes) == before else bytes(record.SerializeToString())


def _mend_tags(run: Any, changes: list[str]) -> None:
    tags = list(run.tags)
    mended = list(dict.fromkeys(tag[:MOST_CHARACTERS] for tag in tags if tag))
    if mended == tags:
        return
    for tag in tags:
        if not tag:
            changes.append("an empty tag was taken away")
        elif len(tag) > MOST_CHARACTERS:
            changes.append(f"the tag {tag!r} was cut to {tag[:MOST_CHARACTERS]!r}")
    if len(mended) < len([tag for tag in tags if tag]):
        changes.append("tags that are the same now are there once")
    del run.tags[:]
    run.tags.extend(mended)


def _mend_job_type(run: Any, changes: list[str]) -> None:
    if len(run.job_type) > MOST_CHARACTERS:
        changes.append(f"the job type {run.job_type!r} was cut to {run.job_type[:MOST_CHARACTERS]!r}")
        run.job_type = run.job_type[:MOST_CHARACTERS]
