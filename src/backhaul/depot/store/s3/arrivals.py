"""Objects that clients PUT at presigned addresses."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from backhaul.depot.memory import Memory
from backhaul.depot.model import Blob
from backhaul.depot.refusal import Refused
from backhaul.depot.store.s3.bucket import Bucket, Found, Missing
from backhaul.depot.store.s3.looking import those_there
from backhaul.depot.store.s3.reading import described
from backhaul.depot.store.s3.signing import AddressSigner

_REMEMBERED = 100_000  # objects that were read for their MD5
_SMALLEST_PART = 5 << 20  # bytes; what S3 puts together
_NAMED = 5  # of the parts that are missing
_AT_ONCE = 16  # objects whose bytes are read
_MD5 = re.compile(r"[0-9a-f]{32}")


class S3Arrivals:
    """An `Arrivals` in the bucket of the blobs. Whoever reaches it at another address is given that one."""

    def __init__(self, bucket: Bucket, plain_etags: bool) -> None:
        """`plain_etags`: an object's ETag is its MD5."""
        self._bucket = bucket
        self._plain_etags = plain_etags
        self._signer = AddressSigner(bucket.place)
        self._read: Memory[tuple[str, str], str] = Memory(_REMEMBERED)

    def address(self, name: str, md5: str) -> str:
        """See `Arrivals`."""
        return self._signed("put_object", name, md5)

    def part_addresses(self, name: str, parts: tuple[str, ...]) -> list[str]:
        """See `Arrivals`."""
        upload = self._upload(name) or self._bucket.begin(name)
        return [
            self._signed("upload_part", name, md5, UploadId=upload, PartNumber=number)
            for number, md5 in enumerate(parts, 1)
        ]

    def came(self, start: str) -> Iterator[Blob]:
        """See `Arrivals`."""
        return map(self._blob, self._bucket.found(start))

    def among(self, start: str, names: set[str]) -> list[Blob]:
        """See `Arrivals`."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(self._blob, those_there(self._bucket, start, names)))

    def _blob(self, found: Found) -> Blob:
        return Blob(found.name, found.size, self._md5(found))

    def joined(self, name: str, parts: tuple[str, ...], told: Mapping[int, str]) -> Blob:
        """See `Arrivals`."""
        upload = self._upload(name)
        if upload is not None:
            with suppress(Missing):  # another process was first
                self._bucket.complete(name, upload, self._etags(self._bucket.parts(name, upload), parts, told))
        whole = self._bucket.head(name)
        if whole is None:
            raise Refused("the upload of these parts is over")
        return self._blob(whole)

    def _etags(self, came: dict[int, Found], parts: tuple[str, ...], told: Mapping[int, str]) -> list[str]:
        """The ETags of the parts in their order, if all came and are what was announced."""
        numbered = enumerate(parts, 1)
        missing = [number for number, md5 in numbered if not self._is_it(came.get(number), md5, told[number])]
        if missing:
            raise Refused(
                f"{len(missing)} of {len(parts)} parts have not arrived, the first of them {missing[:_NAMED]}"
            )
        if any(came[number].size < _SMALLEST_PART for number in range(1, len(parts))):
            raise Refused(f"all parts but the last must have {_SMALLEST_PART} bytes at least")
        return [came[number].etag for number in range(1, len(parts) + 1)]

    def _is_it(self, part: Found | None, md5: str, told: str) -> bool:
        return part is not None and part.etag == told and (part.etag == md5 or not self._plain_etags)

    def _upload(self, name: str) -> str | None:
        """The upload of that name; if two processes began one at once, the same for both."""
        found = sorted((-each.age, each.upload) for each in self._bucket.pending(name) if each.name == name)
        return found[0][1] if found else None

    def _md5(self, found: Found) -> str:
        """By the ETag, where that is the MD5; else the bytes are read."""
        if self._plain_etags and _MD5.fullmatch(found.etag):
            return found.etag
        return self._read.get((found.name, found.etag), lambda: described(self._bucket, found.name).md5)

    def _signed(self, call: str, name: str, md5: str, **more: Any) -> str:
        return self._signer.address(call, name, ContentMD5=base64.b64encode(bytes.fromhex(md5)).decode(), **more)
