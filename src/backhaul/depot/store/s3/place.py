"""Where blobs lie in an object store: `s3://bucket/prefix`, and at which address it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


class PlaceRefused(RuntimeError):
    """The object store does not let us keep blobs there; trying again does not help."""


class PlaceUnreachable(OSError):
    """The object store does not answer, or not as it should; it may do so later."""


@dataclass(frozen=True, slots=True)
class S3Place:
    """A folder of a bucket. `endpoint` is the store's address; None is Amazon's own, or what the AWS settings say.

    `prefix` is empty or ends with a slash.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None

    @classmethod
    def parse(cls, address: str, endpoint: str | None = None) -> S3Place:
        """The place of an `s3://bucket/prefix`. Raises ValueError for anything else."""
        parts = urlsplit(address)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"{address!r} is no place such as s3://bucket/prefix")
        if endpoint is not None and (
            urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).netloc
        ):
            raise ValueError(f"{endpoint!r} is no address such as https://s3.example.org")
        prefix = parts.path.strip("/")
        return cls(parts.netloc, f"{prefix}/" if prefix else "", endpoint)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def _is_web_address(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc)
