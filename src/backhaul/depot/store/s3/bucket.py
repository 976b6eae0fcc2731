"""The only door to the object store: what is asked of a bucket, and what its failures mean.

`botocore` waits in the thread that calls it; its client may be used from any. What it cannot reach, or is not let do,
becomes a refusal of the request in hand (503), so that clients try again; only the probe at the start tells them apart.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.session import Session

from backhaul.depot.refusal import Refused, store_failed
from backhaul.depot.store.s3.place import S3Place

T = TypeVar("T")

_CONFIG = Config(
    signature_version="s3v4",
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=80,  # as many as threads may ask at once
    tcp_keepalive=True,
    # Checksums of its own, which not every store knows; each body goes with its MD5 instead.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
_RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 4})  # unless the AWS settings say something
_PATIENT = Config(read_timeout=600, retries={"total_max_attempts": 1})  # putting many parts together takes minutes
_BY_PATH = Config(s3={"addressing_style": "path"})  # `bucket.host` is a name that an own store's host seldom has
_AT_THE_SAME_TIME = "ConditionalRequestConflict"
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NotFound"})


class Missing(OSError):
    """There is no such object (any more)."""


class Changed(OSError):
    """The object is another one than was asked for."""


class NotKnown(Refused):
    """The store does not know what it was asked; to those who did not mean to try, it failed."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object or a part as the store lists it. `etag` is bare; `age` is in seconds, by the store's own clock.

    `modified` is when it was written, in seconds since 1970.
    """

    name: str
    size: int
    etag: str
    age: float
    modified: float


@dataclass(frozen=True, slots=True)
class Pending:
    """Parts on their way to become the object `name`; `age` is in seconds since the first was asked for."""

    name: str
    upload: str
    age: float


class Bucket:
    """The objects under one prefix of a bucket, by their names without it."""

    def __init__(self, place: S3Place) -> None:
        self.place = place
        self._client = client_of(place)
        self._patient_client = client_of(place, _PATIENT)

    def put(self, name: str, data: bytes) -> str:
        """Writes an object; the store compares its MD5. Returns its ETag."""
        return _etag(self._ask(self._client.put_object, name, Body=data, ContentMD5=_md5(data)))

    def put_new(self, name: str, data: bytes) -> bool:
        """Writes an object where there is none; False when there is one, or others are writing it at this moment.

        A store that does not heed the condition writes it again, and one that does not know it is asked without.
        """
        try:
            self._ask(self._client.put_object, name, Body=data, ContentMD5=_md5(data), IfNoneMatch="*")
        except Changed:
            return False
        except NotKnown:
            self.put(name, data)
        return True

    def get(self, name: str, start: int = 0, etag: str | None = None) -> Any:
        """The answer with the object from byte `start` on. Raises `Missing`, or `Changed` when it has another ETag."""
        more = {"Range": f"bytes={start}-"} if start else {}
        return self._ask(self._client.get_object, name, **more, **({"IfMatch": etag} if etag else {}))

    def head(self, name: str) -> Found | None:
        """The object, or None."""
        try:
            answer = self._ask(self._client.head_object, name)
        except Missing:
            return None
        return _found(name, answer["ContentLength"], answer, _now_of(answer))

    def copy(self, source: str, name: str, etag: str) -> str:
        """Makes an object of the bytes of another, in the store itself; returns its ETag.

        Raises `Missing`, or `Changed` when `source` has another ETag, where the store heeds that.
        """
        origin = {"Bucket": self.place.bucket, "Key": self.place.prefix + source}
        more = {"CopySource": origin, "CopySourceIfMatch": f'"{etag}"'}
        return _etag(self._ask(self._patient_client.copy_object, name, **more)["CopyObjectResult"])

    def delete(self, name: str) -> None:
        """Removes an object; one that is gone already is fine."""
        self._ask(self._client.delete_object, name)

    def found(self, start: str, after: str = "") -> Iterator[Found]:
        """The objects whose names begin so and come behind `after`, in the order of their names."""
        more = {"StartAfter": self.place.prefix + after} if after else {}
        while True:
            answer = _answer(
                self._client.list_objects_v2, Bucket=self.place.bucket, Prefix=self.place.prefix + start, **more
            )
            now = _now_of(answer)
            for each in answer.get("Contents", ()):
                yield _found(self._name(each["Key"]), each["Size"], each, now)
            if not answer.get("IsTruncated"):
                return
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def begin(self, name: str) -> str:
        """Begins an object that comes in parts; returns the id of this upload."""
        return str(self._ask(self._client.create_multipart_upload, name)["UploadId"])

    def put_part(self, name: str, upload: str, number: int, data: bytes) -> str:
        """Writes a part, by its number from 1; the store compares its MD5. Returns its ETag."""
        more = {"UploadId": upload, "PartNumber": number, "Body": data, "ContentMD5": _md5(data)}
        return _etag(self._ask(self._client.upload_part, name, **more))

    def parts(self, name: str, upload: str) -> dict[int, Found]:
        """The parts that came, by number. Raises `Missing` when the upload is over."""
        found: dict[int, Found] = {}
        more: dict[str, int] = {}
        while True:
            answer = self._ask(self._client.list_parts, name, UploadId=upload, **more)
            now = _now_of(answer)
            found |= {each["PartNumber"]: _found(name, each["Size"], each, now) for each in answer.get("Parts", ())}
            if not answer.get("IsTruncated"):
                return found
            more = {"PartNumberMarker": answer["NextPartNumberMarker"]}

    def complete(self, name: str, upload: str, etags: list[str]) -> None:
        """Makes an object of the parts with these ETags, in their order. Raises `Missing` when the upload is over."""
        parts = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in enumerate(etags, 1)]
        self._ask(
            self._patient_client.complete_multipart_upload, name, UploadId=upload, MultipartUpload={"Parts": parts}
        )

    def abort(self, name: str, upload: str) -> None:
        """Ends an upload and removes its parts; one that is over already is fine."""
        try:
            self._ask(self._client.abort_multipart_upload, name, UploadId=upload)
        except Missing:
            return

    def pending(self, start: str = "") -> Iterator[Pending]:
        """The uploads in parts of objects whose names begin so."""
        more: dict[str, str] = {}
        while True:
            answer = _answer(
                self._client.list_multipart_uploads, Bucket=self.place.bucket, Prefix=self.place.prefix + start, **more
            )
            now = _now_of(answer)
            for each in answer.get("Uploads", ()):
                yield Pending(self._name(each["Key"]), each["UploadId"], now - each["Initiated"].timestamp())
            if not answer.get("IsTruncated"):
                return
            more = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}

    def quiet_for(self, pending: Pending) -> float:
        """Seconds since a part of the upload came, or since it was begun."""
        try:
            ages = [part.age for part in self.parts(pending.name, pending.upload).values()]
        except Missing:
            ages = []
        return min([pending.age, *ages])

    def _ask(self, call: Callable[..., Any], name: str, **more: Any) -> Any:
        return _answer(call, Bucket=self.place.bucket, Key=self.place.prefix + name, **more)

    def _name(self, key: str) -> str:
        return key[len(self.place.prefix) :]


def client_of(place: S3Place, more: Config | None = None) -> Any:
    """A client with credentials, region and certificates as the AWS settings say (environment and files)."""
    session = Session()
    region = session.get_config_variable("region") or "us-east-1"
    config = _CONFIG.merge(_BY_PATH) if place.endpoint else _CONFIG
    if session.get_config_variable("max_attempts") is None:
        config = config.merge(_RETRIES)
    config = config.merge(more) if more else config
    return session.create_client("s3", region_name=region, endpoint_url=place.endpoint, config=config)


def _answer(call: Callable[..., T], **arguments: Any) -> T:
    """What the store answers; its failures as this module's own."""
    try:
        return call(**arguments)
    except ClientError as error:
        code, status = error.response["Error"].get("Code", ""), error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code in _MISSING:
            raise Missing(f"{arguments.get('Key')} is not in the bucket") from error
        if status == 412 or code == _AT_THE_SAME_TIME:
            raise Changed(f"{arguments.get('Key')} was replaced") from error
        failed = store_failed(f"{code}: {error.response['Error'].get('Message', '')}")
        raise (NotKnown(failed.message, failed.status) if status == 501 else failed) from error
    except (BotoCoreError, HTTPClientError) as error:
        raise store_failed(str(error)) from error


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _etag(answer: Any) -> str:
    return str(answer["ETag"]).strip('"')


def _found(name: str, size: int, answer: Any, now: float) -> Found:
    modified = answer["LastModified"].timestamp()
    return Found(name, size, _etag(answer), now - modified, modified)


def _now_of(answer: Any) -> float:
    """The store's clock: ages are compared with its own times, whatever the depot's clock says."""
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return (parsedate_to_datetime(told) if told else datetime.now(UTC)).timestamp()
