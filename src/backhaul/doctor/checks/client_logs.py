"""The official client's own logs: messages that it shows nobody, translated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Surroundings

_LOGS = ("logs/debug-sync.*.log", "*/logs/debug-internal.log", "*/logs/debug-core.log", "*/logs/debug.log")
# The newest bytes of a log; what matters is the last failure, and a log of a long run has gigabytes.
_TAIL = 1 << 20
_LONGEST_EVIDENCE = 300


@dataclass(frozen=True, slots=True)
class _Message:
    """A message as it stands in a log (wandb 0.10 to 0.31), what it means, and what to do about it."""

    pattern: re.Pattern[str]
    meaning: str
    remedy: str


def _message(pattern: str, meaning: str, remedy: str) -> _Message:
    return _Message(re.compile(pattern, re.IGNORECASE), meaning, remedy)


_SYNC = "backhaul sync PATH"
_KNOWN = (
    _message(
        r"was previously created and deleted",
        "The run was deleted on the server, which takes its id never again (409); wandb tries on without a word.",
        "restore the run on the server, or backhaul sync --id NEW PATH",
    ),
    _message(
        r"invalid tag|limit exceeded for JobType",
        "The server refused the run's tags or job type (400).",
        "backhaul repair --mend-metadata PATH",
    ),
    _message(
        r"failed to get file size for path|upload: file does not exist|Artifact won't be committed",
        "A file was not where the log says, so it was left out without a word.",
        "backhaul doctor PATH names what is missing",
    ),
    _message(
        r"Fatal error while uploading data|dropped streaming file chunk|dropped chunk",
        "wandb gave up uploading rows, and may have marked the run as synced all the same.",
        _SYNC,
    ),
    _message(
        r"error getting next record|invalid chunk|record checksum is invalid|bad header",
        "wandb could not read the log on from a damaged or torn place, and sent nothing behind it.",
        _SYNC,
    ),
    _message(r"rate limit exceeded|429 encountered", "The server asked to slow down (429).", _SYNC),
    _message(
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|x509: certificate",
        "The server's certificate was not trusted; something may stand between.",
        "set SSL_CERT_FILE to your site's certificates",
    ),
    _message(
        r"permission denied.*(403|PERMISSION_ERROR)|\b403\b.*permission denied",
        "The key may not write to this entity and project (403).",
        "backhaul sync -e ENTITY -p PROJECT PATH",
    ),
    _message(
        r"user is not logged in|\b401\b.*(unauthori[sz]ed|logged in)",
        "The server did not accept the API key (401).",
        "wandb login --relogin",
    ),
    _message(
        r"dial tcp.*(connection refused|timed out|no such host|i/o timeout)|Max retries exceeded|ReadTimeout"
        r"|ConnectTimeout|connection reset",
        "The server could not be reached, or the connection broke.",
        _SYNC,
    ),
    _message(
        r"No space left on device|Disk quota exceeded",
        "There was no space or no quota left while the run was recorded or sent.",
        "free some space; backhaul doctor PATH tells what the runs lack",
    ),
)


def check(surroundings: Surroundings) -> Iterator[Finding]:
    """One finding for each known message in each log, with the newest line that has it."""
    for folder in surroundings.folders:
        for path in sorted({path for pattern in _LOGS for path in folder.glob(pattern)}):
            yield from _of_log(path, _newest_lines(path))


def _of_log(path: Path, lines: Iterable[str]) -> Iterator[Finding]:
    newest: dict[_Message, str] = {}
    for line in lines:
        for known in _KNOWN:
            if known.pattern.search(line):
                newest[known] = line
                break
    for known, line in newest.items():
        yield Finding("client-log", known.meaning, line.strip()[:_LONGEST_EVIDENCE], known.remedy, str(path))


def _newest_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return file.read(_TAIL).decode(errors="replace").splitlines()
    except OSError:
        # A dangling link to a log in somebody's cache, or a log that is closed to us, tells nothing.
        return []
