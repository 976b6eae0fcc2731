"""The user's own depot on this machine, for as long as a command needs it."""

from __future__ import annotations

import http.client
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import SplitResult, urlsplit

from backhaul.errors import ConfigurationError
from backhaul.sync.depot_folder import ADDRESS_FILE, DATABASE_VARIABLE, KEY_FILE, LOG_FILE, default_data_folder

_SECONDS_TO_STOP = 10


@dataclass(frozen=True, slots=True)
class LocalDepot:
    """A depot that answers: its address, its key, and an address that signs a browser in."""

    url: str
    api_key: str
    sign_in: str


@contextmanager
def running_depot(data: Path | None = None) -> Iterator[LocalDepot]:
    """The depot over `data` (the user's own by default): the one that runs already, else one that ends with the block.

    Raises ConfigurationError, with what the depot said, when it does not start.
    """
    folder = data or default_data_folder()
    already = _address(folder)
    if already is not None:
        yield LocalDepot(already[0], _key_of(folder), already[1])
        return
    arguments = [sys.executable, "-m", "backhaul", "depot", "--port", "0", "--data", str(folder), "--with-parent"]
    with (
        _log(folder) as log,
        subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={name: value for name, value in os.environ.items() if name != DATABASE_VARIABLE},
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield _started(process, folder)
        finally:
            _end(process)


def _log(folder: Path) -> TextIO:
    """Where the depot says what goes wrong: a file, because nobody reads a pipe while the command works."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return (folder / LOG_FILE).open("w")
    except OSError as error:
        raise ConfigurationError(f"The depot over {folder} cannot start: {error}.") from error


def _started(process: subprocess.Popen[str], folder: Path) -> LocalDepot:
    assert process.stdout is not None
    if not process.stdout.readline():
        process.wait(_SECONDS_TO_STOP)
        said = (folder / LOG_FILE).read_text(errors="replace").strip()
        raise ConfigurationError(f"The depot over {folder} did not start: {said}")
    address = _address(folder)
    if address is None:
        raise ConfigurationError(f"The depot over {folder} started and does not answer.")
    return LocalDepot(address[0], _key_of(folder), address[1])


def _end(process: subprocess.Popen[str]) -> None:
    """Have the depot finish what is under way and stop, by closing its standard input.

    One that does not is ended: what it has acknowledged is durable.
    """
    try:
        process.communicate(timeout=_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _key_of(folder: Path) -> str:
    """The operator's key, which a depot has made by the time it answers. Raises ConfigurationError."""
    try:
        return (folder / KEY_FILE).read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"The key of the depot over {folder} cannot be read: {error.strerror}.") from error


def _address(folder: Path) -> tuple[str, str] | None:
    """Address and sign-in address of a depot that runs over `folder` and answers."""
    try:
        url, sign_in = (folder / ADDRESS_FILE).read_text().split()
    except (OSError, ValueError):
        return None
    return (url, sign_in) if _answers(url) else None


def _answers(url: str) -> bool:
    """Whether a depot is there. No secret is sent, so that its certificate need not be one that is trusted here."""
    connection = _connection(urlsplit(url))
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    where = parts.hostname or "", parts.port
    if parts.scheme == "https":
        return http.client.HTTPSConnection(*where, timeout=5, context=ssl._create_unverified_context())
    return http.client.HTTPConnection(*where, timeout=5)
