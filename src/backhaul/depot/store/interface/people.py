"""Who is let in, as the depot asks for them."""

from __future__ import annotations

from typing import Protocol

from backhaul.depot.model import Account, User


class Users(Protocol):
    """All who were let in beside the operator. Every change counts at once, in every process over the same data."""

    def put(self, user: User, key: str) -> None:
        """Lets somebody in with `key`; a known name gets the new key, role and teams.

        Refused with 400 for a name that no entity may have, because theirs has it too.
        """

    def change(self, user: User) -> None:
        """Gives a known name another role and other teams; the key stays. Refused with 404 for an unknown name."""

    def change_key(self, name: str, key: str) -> None:
        """From now on `key` counts and the one before does not. Refused with 404 for an unknown name."""

    def remove(self, name: str) -> None:
        """Lets them in no more; what they sent stays. Refused with 404 for an unknown name."""

    def by_key(self, key: str) -> Account | None:
        """Whose key it is. The look-up compares hashes, so that its time tells nothing of a key."""

    def by_name(self, name: str) -> Account | None:
        """The user of that name."""

    def every(self) -> list[User]:
        """All of them, by name."""
