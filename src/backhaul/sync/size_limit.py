"""How large a request may be: learned from a server, or a proxy before it, that says "too large" (413)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class SizeLimit:
    """The most bytes that a request body to one server may have; None until one was refused."""

    most: int | None = None

    def allows(self, size: int) -> bool:
        """Whether it is worth trying to send so many bytes."""
        return self.most is None or size <= self.most

    def learn(self, refused: int) -> None:
        """A body of `refused` bytes was too large: half of it is what is tried next."""
        self.most = min(refused // 2, refused if self.most is None else self.most)
