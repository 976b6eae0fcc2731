"""Asking the destination what it holds, until it agrees with the log or the time for that is over."""

from __future__ import annotations

from functools import partial

from backhaul.errors import BadRequest, NotFound, NotProvable, UnexpectedAnswer
from backhaul.sync.first_contact import counts_of
from backhaul.sync.retry import Retrier
from backhaul.sync.verify import Difference, Expected, Kind, Remote, compare
from backhaul.wire.remote import RunAddress
from backhaul.wire.server import Server

# How long, in seconds, a destination may take to show what it acknowledged.
READ_BACK_FOR = 60.0
# Servers show line counts and summaries some seconds after they acknowledged them.
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 5.0


async def read_back(
    server: Server, address: RunAddress, expected: Expected, retrier: Retrier, patience: float
) -> tuple[list[Difference], Remote]:
    """What differs between log and destination after at most `patience` seconds, and what the destination holds.

    It is over at once when the destination holds too much.

    Raises NotFound when it does not show the run by then, NotProvable when it cannot be asked.
    """
    began, wait = retrier.clock(), _FIRST_WAIT
    while True:
        remote = await _read(server, address, expected, retrier)
        over = retrier.clock() - began + wait > patience
        if remote is not None:
            differences = compare(expected, remote)
            # What is late comes yet; what is too much does not go away.
            if not differences or over or any(each.kind is Kind.MORE for each in differences):
                return differences, remote
        elif over:
            raise NotFound(f"{address} was sent, and the server says that there is no such run.")
        await retrier.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


async def _read(server: Server, address: RunAddress, expected: Expected, retrier: Retrier) -> Remote | None:
    """What the destination holds; None while it does not even show the run."""
    try:
        status = await retrier.run(lambda: server.run_status(address.entity, address.project, address.run_id))
    except NotFound:
        return None
    except (BadRequest, UnexpectedAnswer) as error:
        raise NotProvable(f"Nothing of {address} can be proved at this server: {error.message}") from error
    if status is None:
        return None
    return Remote(
        lines=counts_of(status),
        history_tail=list(status.history_tail),
        summary=status.summary,
        config=status.config,
        files={file.name: (file.size, file.md5) for file in status.files},
        artifacts=await _artifacts(server, address, expected, retrier),
        state=status.state,
    )


async def _artifacts(
    server: Server, address: RunAddress, expected: Expected, retrier: Retrier
) -> dict[str, tuple[str, str]]:
    """State and digest, by id, of the artifacts that must be there and are."""
    found = {}
    try:
        for artifact_id in expected.artifacts:
            artifact = await retrier.run(partial(server.artifacts.read, artifact_id))
            if artifact is not None:
                found[artifact_id] = (artifact.state, artifact.digest)
    except (BadRequest, UnexpectedAnswer) as error:
        raise NotProvable(f"The artifacts of {address} cannot be proved at this server: {error.message}") from error
    return found
