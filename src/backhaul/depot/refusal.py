"""What the depot says when it will not do what was asked."""

from __future__ import annotations

import errno


class Refused(Exception):
    """A request that is not carried out: an HTTP status, and the sentence that the client shows to its user.

    The official clients retry 409 (only when opening a run), 429 and 5xx except 501, and give up at once on other
    statuses, so the status chosen here decides whether a user waits.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def not_found(what: str) -> Refused:
    """A 404 that names what is missing."""
    return Refused(f"{what} not found", 404)


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def disk_full() -> Refused:
    """A 507: the disk or the quota under the data folder is used up. It passes when there is room again."""
    return Refused("the depot's disk is full; nothing of this request was stored", 507)


def disk_failed(reason: str) -> Refused:
    """A 503 for a disk that fails otherwise: nobody knows for how long, so that clients should try again."""
    return Refused(f"the depot cannot read or write its data ({reason}); nothing of this request was stored", 503)


def of_disk(error: OSError) -> Refused:
    """What an error of the file system means for the request in which it came up."""
    return disk_full() if error.errno in _FULL else disk_failed(error.strerror or type(error).__name__)


def permission_denied() -> Refused:
    """A 403 in the words of the official server."""
    return Refused("permission denied", 403)


def store_failed(reason: str) -> Refused:
    """A 503 for an object store that does not answer, or not as it should: it may do so the next time."""
    return Refused(f"the depot cannot reach its blob store ({reason}); nothing of this request was stored", 503)
