"""The official client's own logs: messages that it shows nobody, translated."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Surroundings
from backhaul.doctor.remedy import command

_LOGS = (
    "debug-cli*.log", "logs/debug-sync.*.log", "*/logs/debug-internal.log", "*/logs/debug-core.log", "*/logs/debug.log",
)  # fmt: skip
# The newest bytes of a log; what matters is the last failure, and a log of a long run has gigabytes.
_TAIL = 1 << 20
_LONGEST_EVIDENCE = 300


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it stands in a log (wandb 0.10 to 0.31), what it means, and the command that helps.

    `row` is its row on the troubleshooting page, where users find it by the same words.
    """

    row: str
    pattern: re.Pattern[str]
    meaning: str
    does: tuple[str, ...]


_SYNC, _DOCTOR = ("backhaul", "sync"), ("backhaul", "doctor")


def _message(row: str, pattern: str, meaning: str, does: tuple[str, ...] = _SYNC) -> Message:
    return Message(row, re.compile(pattern, re.IGNORECASE), meaning, does)


KNOWN = (
    _message(
        "F11",
        r"was previously created and deleted|Duplicate entry '[^']*' for key 'PRIMARY'",
        "The run was deleted on the server, which takes its id never again (409); wandb tries on without a word.",
    ),
    _message(
        "F13",
        r"invalid tag|limit exceeded for JobType|Invalid Client ID digest",
        "The server refused the run's own description, such as its tags or job type (400).",
        _DOCTOR,
    ),
    _message(
        "F33",
        r"nil pointer dereference|panic: runtime error",
        "wandb's engine crashed over an answer of the server that it did not expect.",
    ),
    _message(
        "F9",
        r"failed to get file size for path|Artifact won't be committed|Error uploading .*FileNotFoundError",
        "A content of an artifact was not where the log says, so the artifact was not finished.",
        _DOCTOR,
    ),
    _message(
        "F10",
        r"upload: file does not exist",
        "A file was not where the log says, so it was left out without a word.",
        _DOCTOR,
    ),
    _message(
        "F27",
        r"Metric data exceeds maximum size|Summary data exceeds maximum size",
        "A row or summary was too large for the server, and was left out.",
    ),
    _message(
        "F1",
        r"Fatal error while uploading data|dropped streaming file chunk|dropped chunk",
        "wandb gave up uploading rows, and may have marked the run as synced all the same.",
    ),
    _message(
        "F28",
        r"known bug that may cause run data to silently fail",
        "wandb 0.24.0 may have dropped data while it uploaded this run.",
    ),
    _message(
        "F18",
        r"newer wandb version is required|generated with a newer SDK version|logged with a previous version of wandb",
        "The wandb that synced is of another release than the one that recorded, and could not read all of it.",
    ),
    _message(
        "F3",
        r"file ends with an incomplete record|record checksum is invalid|invalid chunk|checksum == checksum_computed",
        "wandb could not read the log on from a damaged or torn place, and sent nothing behind it.",
    ),
    _message(
        "F4",
        r"error getting next record|bad header|header is \d+ bytes instead of the expected 7",
        "wandb could not read the log: nothing of it reached the disk, or not its end; it then sends no other run.",
    ),
    _message(
        "F7",
        r"Tried to log to step \d+ that is less than the current step",
        "Parts of one run started at step 0 again, and wandb left their rows out.",
    ),
    _message(
        "F14",
        r"rate limit exceeded|429 encountered|Rate-limited",
        "The server asked to slow down (429).",
    ),
    _message(
        "F23",
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|x509: |find a suitable TLS CA certificate bundle",
        "The server's certificate was not trusted; something may stand between.",
        _DOCTOR,
    ),
    _message(
        "F12",
        r"permission denied.*(403|PERMISSION_ERROR)|\b403\b.*permission denied|project not found"
        r"|entity \S+ not found|not found while updating run|user is not logged in|\b401\b.*unauthori[sz]ed",
        "The key was not accepted, or may not write to this entity and project (401, 403, 404).",
        _DOCTOR,
    ),
    _message(
        "F15",
        r"dial tcp.*(connection refused|timed out|no such host|i/o timeout)|Max retries exceeded|ReadTimeout"
        r"|ConnectTimeout|connection reset|internal database error|An internal error occurred|\b50[0234] encountered"
        r"|503 Service Unavailable|context deadline exceeded|Client\.Timeout exceeded",
        "The server, or the storage host that it names, could not be reached or was in trouble.",
        _DOCTOR,
    ),
    _message(
        "F21",
        r"No space left on device|Disk quota exceeded",
        "There was no space or no quota left while the run was recorded or sent.",
        _DOCTOR,
    ),
    _message(
        "F24",
        r"Permission denied: '[^']*debug[^']*\.log'",
        "wandb's own log in the shared temporary folder belongs to another user.",
    ),
)
_ANY = re.compile("|".join(f"(?:{known.pattern.pattern})" for known in KNOWN), re.IGNORECASE)


def check(surroundings: Surroundings) -> Iterator[Finding]:
    """One finding for each known message in each log, with the newest line that has it."""
    for folder in surroundings.folders:
        found = sorted({path for pattern in _LOGS for path in folder.glob(pattern)})
        # Each log once, though `latest-run` leads to one of them as well; by the folder's own name, which comes later.
        for path in sorted({os.path.realpath(path): path for path in found}.values()):
            yield from _of_log(path)


def _of_log(path: Path) -> Iterator[Finding]:
    newest: dict[str, tuple[Message, str]] = {}
    # A log of a thousand runs has mostly nothing to say: one look for all messages first.
    for line in _newest_lines(path):
        if _ANY.search(line):
            known = next(known for known in KNOWN if known.pattern.search(line))
            newest[known.meaning] = known, line
    place = path.parent if path.name.startswith("debug-cli") else path.parent.parent
    for known, line in newest.values():
        evidence = f"{path}: {line.strip()[:_LONGEST_EVIDENCE]}"
        yield Finding("client-log", known.meaning, evidence, command(*known.does, place), str(path))


def _newest_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            text = file.read(_TAIL).decode(errors="replace")
    except OSError:
        # A dangling link to a log in somebody's cache, or a log that is closed to us, tells nothing.
        return []
    return text.splitlines() if _ANY.search(text) else []
