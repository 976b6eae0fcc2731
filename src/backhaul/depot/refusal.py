"""What the depot says when it will not do what was asked."""

from __future__ import annotations


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
