"""Whether a place can be used, before the first request relies on it."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError, PartialCredentialsError

from backhaul.depot.store.s3.bucket import client_of
from backhaul.depot.store.s3.place import S3Place
from backhaul.depot.store.unusable import PlaceRefused, PlaceUnreachable

_WORDS = {
    "NoSuchBucket": "there is no such bucket",
    "AccessDenied": "the credentials do not allow it (AccessDenied)",
    "InvalidAccessKeyId": "the access key is not known there (InvalidAccessKeyId)",
    "SignatureDoesNotMatch": "the secret key is not the access key's (SignatureDoesNotMatch)",
    "RequestTimeTooSkewed": "this machine's clock is wrong (RequestTimeTooSkewed)",
}


def probe(place: S3Place) -> bool:
    """Writes, reads and removes an object; whether the ETag of an object is its MD5 (not so with a managed key).

    Raises PlaceRefused when the store refuses that, PlaceUnreachable when it does not answer.
    """
    client, data = client_of(place), secrets.token_bytes(32)
    where = {"Bucket": place.bucket, "Key": f"{place.prefix}probe-{secrets.token_hex(8)}"}
    try:
        told = _tried(client, where, data)
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise PlaceRefused(f"{place} needs credentials, and the AWS settings have none: {error}") from error
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        words = _WORDS.get(code) or f"{code}: {error.response['Error'].get('Message', '')}"
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise PlaceUnreachable(f"{place} does not answer as it should: {words}") from error
        raise PlaceRefused(f"{place} refuses {error.operation_name}: {words}") from error
    except (BotoCoreError, HTTPClientError) as error:
        raise PlaceUnreachable(f"{place} does not answer: {error}") from error
    return told == hashlib.md5(data, usedforsecurity=False).hexdigest()


def _tried(client: Any, where: dict[str, str], data: bytes) -> str:
    client.put_object(**where, Body=data)
    try:
        answer = client.get_object(**where)
        if answer["Body"].read() != data:
            raise PlaceUnreachable(f"s3://{where['Bucket']}/{where['Key']} is not read as it was written")
        client.list_objects_v2(Bucket=where["Bucket"], Prefix=where["Key"])
    finally:
        client.delete_object(**where)
    return str(answer["ETag"]).strip('"')
