"""Which names a client may give to entities, projects, runs and files.

The rules are those of the official client and server: project names up to 128 characters without ``/ \\ # ? % :``,
run ids up to 128 without ``: ; , # ? / '`` and without blanks at either end. Tags and job types are refused in the
official server's own words, which users look for and programs match.
"""

from __future__ import annotations

from backhaul.depot.refusal import Refused

_LONGEST_NAME = 128
_LONGEST_FILE_NAME = 4096
_LONGEST_TAG = 64
_LONGEST_JOB_TYPE = 64
_STATES = frozenset({"pending", "running", "finished", "failed", "crashed", "killed", "preempting", "preempted"})
_NOT_IN_PROJECT = frozenset("/\\#?%:")
_NOT_IN_FILE = frozenset("\0\\\r\n")
_NOT_IN_RUN = frozenset(":;,#?/'\\")


def project_name(name: str) -> str:
    """The name, if a project may be called so. Refused with 400 otherwise."""
    return _checked("project name", name, _NOT_IN_PROJECT)


def entity_name(name: str) -> str:
    """The name, if an entity may be called so. Refused with 400 otherwise."""
    return _checked("entity name", name, _NOT_IN_PROJECT)


def run_id(name: str) -> str:
    """The name, if it is a run id. Refused with 400 otherwise."""
    return _checked("run id", name, _NOT_IN_RUN)


def tag(name: str) -> str:
    """The name, if a tag may be called so. Refused with 400 otherwise."""
    if not 1 <= len(name) <= _LONGEST_TAG:
        raise Refused(f"invalid tag '{name[:_LONGEST_FILE_NAME]}'. must be between 1 and {_LONGEST_TAG} characters")
    return name


def job_type(name: str) -> str:
    """The name, if a job type may be called so. Refused with 400 otherwise."""
    if len(name) > _LONGEST_JOB_TYPE:
        raise Refused(f"invalid parameters: {_LONGEST_JOB_TYPE} limit exceeded for JobType")
    return name


def state(name: str) -> str:
    """The name, if it is a state that a client may put a run into. Refused with 400 otherwise."""
    if name not in _STATES:
        raise Refused(f"invalid run state {name[:200]!r}: it must be one of {', '.join(sorted(_STATES))}")
    return name


def file_name(name: str) -> str:
    """The name, if it stays inside its run's folder: relative, slashes only, no empty, `.` or `..` part.

    Refused with 400 otherwise.
    """
    parts = name.split("/")
    bad_part = any(part in ("", ".", "..") for part in parts)
    bad_character = any(character in _NOT_IN_FILE or "\ud800" <= character <= "\udfff" for character in name)
    if bad_part or bad_character or len(name) > _LONGEST_FILE_NAME:
        raise Refused(f"invalid file name {name[:200]!r}: it must be a relative path inside the run's folder")
    return name


def _checked(what: str, name: str, forbidden: frozenset[str]) -> str:
    if not name or name in (".", "..") or name != name.strip() or len(name) > _LONGEST_NAME:
        raise Refused(f"invalid {what} {name[:200]!r}: it must have 1 to {_LONGEST_NAME} characters")
    if any(character in forbidden or ord(character) < 32 for character in name):
        shown = " ".join(sorted(forbidden))
        raise Refused(f"invalid {what} {name!r}: it must not contain any of {shown} or control characters")
    return name
