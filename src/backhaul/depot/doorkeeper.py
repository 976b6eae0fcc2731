"""Who somebody is, by the key or the session that they show."""

from __future__ import annotations

import hmac

from backhaul.depot.attempts import Attempts
from backhaul.depot.keys import Secrets, hashed
from backhaul.depot.model import Account, Role, User
from backhaul.depot.store import Users


class Doorkeeper:
    """Knows the operator by the key of the data folder, and everybody else by the hash of theirs."""

    def __init__(self, secrets: Secrets, users: Users, entity: str, attempts: Attempts) -> None:
        self._operator = Account(User(entity, Role.ADMIN), hashed(secrets.api_key))
        self._users = users
        self._attempts = attempts
        self._good: set[bytes] = set()

    @property
    def operator(self) -> Account:
        """Who runs the depot, and may do everything."""
        return self._operator

    def remembered(self, key: str) -> Account | None:
        """The operator, once their key has let them in: told without waiting for the disk."""
        digest = hashed(key)
        again = digest in self._good and hmac.compare_digest(digest, self._operator.key_hash)
        return self._operator if again else None

    def by_key(self, key: str, address: str) -> Account | None:
        """Whose key it is. Refused with 429 when too many wrong ones came from `address`.

        Whoever was let in once stays in: a neighbour behind the same address with a wrong key locks nobody out.
        """
        digest = hashed(key)
        if digest not in self._good:
            self._attempts.check(address)
        found = self._known(key, digest)
        if found is None:
            self._attempts.failed(address)
            self._good.discard(digest)
        else:
            self._good.add(digest)
        return found

    def _known(self, key: str, digest: bytes) -> Account | None:
        if hmac.compare_digest(digest, self._operator.key_hash):
            return self._operator
        return self._users.by_key(key)

    def by_name(self, name: str) -> Account | None:
        """The account of that name; empty for the operator, whose entity may have another name at the next start."""
        return self._users.by_name(name) if name else self._operator
