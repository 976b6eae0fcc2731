"""Where a depot is told to keep its blobs: what it says of a place that it cannot use."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from backhaul.cli import depot as depot_command
from backhaul.depot import Depot, Place, S3Place
from backhaul.errors import BackhaulError

from ...object_store import Door, refusal


def _failure(data: Path, *words: str) -> BackhaulError:
    """How the command ends before it listens."""
    error = CliRunner().invoke(depot_command.command, [*words, "--port", "0", "--data", str(data)]).exception
    assert isinstance(error, BackhaulError), error
    return error


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--blobs", "bucket/prefix"], "'bucket/prefix' is no place such as s3://bucket/prefix."),
        (["--blobs", "s3://b", "--s3-endpoint", "minio:9000"], "'minio:9000' is no address such as"),
        (["--blobs", "s3://b", "--s3-public-endpoint", "minio:9000"], "'minio:9000' is no address such as"),
        (["--s3-endpoint", "http://minio:9000"], "belong to --blobs"),
        (["--no-direct-uploads"], "belong to --blobs"),
    ],
)
def test_a_place_that_makes_no_sense_is_wrong_usage(tmp_path: Path, words: list[str], told: str) -> None:
    """Before anything is made."""
    error = _failure(tmp_path / "data", *words)
    assert (error.exit_code, told in error.message) == (2, True), error.message
    assert not (tmp_path / "data").exists()


def test_a_bucket_that_is_not_there_is_told(tmp_path: Path, door: Door) -> None:
    """By its name, with what to mend."""
    error = _failure(tmp_path, "--blobs", "s3://elsewhere/x", "--s3-endpoint", door.url)
    assert error.exit_code == 4
    assert error.message.endswith("s3://elsewhere/x refuses PutObject: there is no such bucket.")


@pytest.mark.parametrize(
    ("code", "told"),
    [("AccessDenied", "do not allow it"), ("SignatureDoesNotMatch", "secret key is not"), ("Odd", "Odd: told by")],
)
def test_credentials_that_are_refused_are_told(tmp_path: Path, door: Door, code: str, told: str) -> None:
    """As what has to be mended first; the words are ours for what is usual, the store's for the rest."""
    door.fault = lambda _asked: refusal(403, code)
    error = _failure(tmp_path, "--blobs", "s3://runs/x", "--s3-endpoint", door.url)
    assert (error.exit_code, told in error.message) == (4, True), error.message


def test_a_trial_that_is_refused_in_the_middle_leaves_nothing(tmp_path: Path, door: Door) -> None:
    """No sweep would find what was written."""
    place = door.place()
    door.fault = lambda asked: refusal(403, "AccessDenied") if asked.method == "GET" else None
    error = _failure(tmp_path, "--blobs", str(place), "--s3-endpoint", door.url)
    assert (error.exit_code, "refuses GetObject" in error.message) == (4, True), error.message
    door.fault = None
    assert door.names(place) == []


def test_missing_credentials_are_told(tmp_path: Path, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as a failure of the store."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    error = _failure(tmp_path, "--blobs", "s3://runs/x", "--s3-endpoint", door.url)
    assert (error.exit_code, "needs credentials" in error.message) == (4, True), error.message


@pytest.mark.parametrize("how", ["silent", "unwell"])
def test_a_store_that_does_not_answer_is_temporary(tmp_path: Path, door: Door, how: str) -> None:
    """The same command later will help."""
    door.fault = lambda _asked: refusal(500, "InternalError")
    url = door.url if how == "unwell" else "http://127.0.0.1:9"
    error = _failure(tmp_path, "--blobs", "s3://runs/x", "--s3-endpoint", url)
    assert (error.exit_code, "does not answer" in error.message) == (5, True), error.message


def test_a_place_of_another_depot_is_refused(tmp_path: Path, door: Door) -> None:
    """Its blobs have no names in this one, whose sweep would remove them all. Its own depot may come again."""
    place = door.place()
    for _ in range(2):
        Depot(Place(tmp_path / "one", place)).close()
    error = _failure(tmp_path / "two", "--blobs", str(place), "--s3-endpoint", door.url)
    assert (error.exit_code, "is another depot's" in error.message) == (4, True), error.message


def test_a_try_leaves_nothing_in_the_bucket(tmp_path: Path, door: Door) -> None:
    """A place is taken with and without a slash at its end."""
    place = door.place()
    assert S3Place.parse(f"{place}/", door.url) == S3Place.parse(str(place), door.url) == place
    Depot(Place(tmp_path, place)).close()
    assert door.names(place) == []
