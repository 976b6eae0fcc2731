"""Where blobs lie in an object store: `s3://bucket/prefix`, and at which address it is reached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class S3Place:
    """A folder of a bucket. `endpoint` is the store's address; None is Amazon's own, or what the AWS settings say.

    `prefix` is empty or ends with a slash. `public_endpoint` is the store's address for clients, where that is another
    one; unless `direct`, they are sent to the depot with everything.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    public_endpoint: str | None = None
    direct: bool = True

    @classmethod
    def parse(
        cls, address: str, endpoint: str | None = None, public_endpoint: str | None = None, direct: bool = True
    ) -> S3Place:
        """The place of an `s3://bucket/prefix`. Raises ValueError for anything else."""
        parts = urlsplit(address)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"{address!r} is no place such as s3://bucket/prefix")
        for each in (endpoint, public_endpoint):
            if each is not None and not _is_web_address(each):
                raise ValueError(f"{each!r} is no address such as https://s3.example.org")
        prefix = parts.path.strip("/")
        return cls(parts.netloc, f"{prefix}/" if prefix else "", endpoint, public_endpoint, direct)

    @property
    def as_clients_reach_it(self) -> S3Place:
        """The same at its public endpoint."""
        return replace(self, endpoint=self.public_endpoint or self.endpoint)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def _is_web_address(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc)
