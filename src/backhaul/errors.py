"""Everything that Backhaul can tell a user has gone wrong.

    BackhaulError
    ├── UsageError                      2  what was asked for makes no sense
    │   └── NoRunsFound                 2
    ├── ConfigurationError              4  credentials or settings must be mended first
    │   ├── NoCredentials               4
    │   ├── CredentialsRefused          4
    │   ├── TlsFailure                  4
    │   ├── ProxyRefused                4
    │   ├── CaptivePortal               4
    │   ├── UnknownSigner               4
    │   ├── ClockWrong                   4
    │   ├── QueuePlace                  4
    │   └── QuotaExceeded               4
    ├── TemporaryError                  5  the same command later will help
    │   ├── HostNotFound                5
    │   ├── ConnectionRefused           5
    │   ├── ConnectionLost              5
    │   ├── TimedOut                    5
    │   ├── ServerUnavailable           5
    │   ├── RateLimited                 5
    │   ├── StorageUnreachable          5
    │   ├── RunBusy                     5
    │   ├── StillRecording              5
    │   ├── DiskFull                    5
    │   ├── QueueUnavailable            5
    │   └── LedgerUnwritable            5
    ├── QuarantineError                 6  this run, row or payload needs the user
    │   ├── UnreadableFile              6
    │   ├── NotAWandbLog                6
    │   ├── EmptyLog                    6
    │   ├── RemoteConflict              6
    │   ├── PayloadMissing              6
    │   ├── NotProven                   6
    │   ├── NotABundle                  6
    │   ├── BundleIncomplete            6
    │   └── ReceiptRefused              6
    ├── RefusedError                    7  the server said no for good
    │   ├── BadRequest                  7
    │   ├── Forbidden                   7
    │   ├── NotFound                    7
    │   ├── RunDeleted                  7
    │   ├── TooLarge                    7
    │   ├── UnexpectedAnswer            7
    │   └── NotProvable                 7
    ├── DeadlineReached                 8  a limit that the user set
    ├── LogDamaged                      9  records were lost inside a log
    │   └── BundleDamaged               9
    ├── VerificationFailed             10  read back and different
    └── Interrupted                   130  Ctrl-C
        └── Terminated                143  SIGTERM

Each class carries a stable `code` (its page is ``docs/errors/<code>.md``), an exit code, and three sentences: what
happened (the message), what is safe, and what to do next. The number beside a class is the process's exit code.
"""

from __future__ import annotations

from typing import ClassVar


class BackhaulError(Exception):
    """A failure that a user can be told about, with what is safe and what to do next.

    ``message`` says what happened. ``safe`` and ``next`` fall back to the class's own sentences. ``retry_after`` is the
    number of seconds that a server asked us to wait, when it said so.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    safe_by_default: ClassVar[str] = "Your run directories are unchanged."
    next_by_default: ClassVar[str] = "Report this with the message above; it should not happen."

    def __init__(
        self,
        message: str,
        *,
        safe: str | None = None,
        next: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.safe = safe or self.safe_by_default
        self.next = next or self.next_by_default
        self.retry_after = retry_after

    def as_json(self) -> dict[str, str]:
        """The error as `--json` prints it: code, message, safe, next."""
        return {"code": self.code, "message": self.message, "safe": self.safe, "next": self.next}


class UsageError(BackhaulError):
    """The command line or the call makes no sense as it stands."""

    code = "usage"
    exit_code = 2
    next_by_default = "See `backhaul --help`."


class NoRunsFound(UsageError):
    """No W&B run lies under the path that was given."""

    code = "no-runs"
    next_by_default = "Give the `wandb` folder of your project, one `offline-run-…` folder, or a `.wandb` file."


class ConfigurationError(BackhaulError):
    """Credentials or settings must be mended before the same command can work."""

    code = "configuration"
    exit_code = 4
    next_by_default = "Mend the setting named above, then run the same command again."


class NoCredentials(ConfigurationError):
    """No API key was found in any place where wandb keeps one."""

    code = "no-credentials"
    next_by_default = "Run `wandb login`, or set WANDB_API_KEY; `--to depot` needs no key."


class CredentialsRefused(ConfigurationError):
    """The server did not accept the API key (401)."""

    code = "credentials-refused"
    safe_by_default = "Your run directories are unchanged; what was acknowledged before is remembered."
    next_by_default = "Check that the key belongs to this server (`wandb login --relogin --host URL`), then try again."


class TlsFailure(ConfigurationError):
    """The server's certificate is not trusted, or the TLS handshake failed."""

    code = "tls-failure"
    next_by_default = (
        "If your site inspects TLS, set SSL_CERT_FILE to its certificate bundle, then run the same command again."
    )


class ProxyRefused(ConfigurationError):
    """The HTTP proxy did not let the request through (407)."""

    code = "proxy-refused"
    next_by_default = "Check HTTPS_PROXY and NO_PROXY (user and password belong into the proxy's URL), then try again."


class CaptivePortal(ConfigurationError):
    """A web page came where the server should have answered: a login page stands between, or the URL is a website."""

    code = "captive-portal"
    next_by_default = (
        "Open the URL in a browser on this machine and log in to the network if it asks you to; "
        "if that is no login page, check the URL: it must be the address of the API."
    )


class UnknownSigner(ConfigurationError):
    """A signature holds, and is by a key that you have not said to trust."""

    code = "unknown-signer"
    safe_by_default = "Nothing was taken over; your run directories are unchanged."
    next_by_default = (
        "Ask whoever holds that key for its fingerprint (`backhaul receipt key` prints it), by a way of its own; if it "
        "is the same, give it with --signed-by."
    )


class ClockWrong(ConfigurationError):
    """This machine's clock differs so much from the server's that certificates or signatures do not hold."""

    code = "clock-wrong"
    next_by_default = "Set this machine's clock (`timedatectl` shows it), then run the same command again."


class QuotaExceeded(ConfigurationError):
    """The account or team has used up its storage or its plan (402, 507, or the server's words)."""

    code = "quota-exceeded"
    safe_by_default = "Your run directories are unchanged; what was acknowledged before is remembered."
    next_by_default = "Free storage or have the plan extended on the server, then run the same command again."


class QueuePlace(ConfigurationError):
    """The queue cannot be kept where it was asked for."""

    code = "queue-place"
    next_by_default = (
        "Give a file on a disk of this host (`--queue PATH`), or a database that several hosts share "
        "(`--queue postgresql://…`)."
    )


class TemporaryError(BackhaulError):
    """Waiting or trying again later is expected to help."""

    code = "temporary"
    exit_code = 5
    safe_by_default = "What the server acknowledged is remembered; nothing will be sent twice."
    next_by_default = "Run the same command again later; it goes on where it stopped."


class HostNotFound(TemporaryError):
    """The server's name has no address (DNS)."""

    code = "host-not-found"
    next_by_default = "Check the URL and this machine's network; then run the same command again."


class ConnectionRefused(TemporaryError):
    """Nothing listens at the server's address, or a firewall says no."""

    code = "connection-refused"
    next_by_default = "Check that the server is up and the URL and port are right; then run the same command again."


class ConnectionLost(TemporaryError):
    """The connection broke in the middle of a request."""

    code = "connection-lost"


class TimedOut(TemporaryError):
    """No byte moved for longer than the time allowed."""

    code = "timed-out"


class ServerUnavailable(TemporaryError):
    """The server answered with a 5xx status."""

    code = "server-unavailable"


class RateLimited(TemporaryError):
    """The server asked us to slow down (429)."""

    code = "rate-limited"


class StorageUnreachable(TemporaryError):
    """The server answers, and the file storage to which it sends uploads cannot be reached."""

    code = "storage-unreachable"
    safe_by_default = "The lines that the server acknowledged are there and remembered; files and artifacts wait."
    next_by_default = (
        "Have the host named above allowed (firewall, proxy, NO_PROXY), or sync from a machine that reaches it; "
        "the same command goes on where it stopped."
    )


class RunBusy(TemporaryError):
    """Another Backhaul process is syncing this run, or the server says that the run is locked."""

    code = "run-busy"
    next_by_default = "Wait until the other process has finished; then run the same command again."


class StillRecording(TemporaryError):
    """The run is still being written; what is whole was sent."""

    code = "still-recording"
    next_by_default = "Run the same command again when the job has ended; it goes on where it stopped."


class DiskFull(TemporaryError):
    """There is no space (or no quota) left where Backhaul keeps its ledger or receipt."""

    code = "disk-full"
    next_by_default = (
        "Free some space (the ledger needs a few kilobytes beside the log), then run the same command again."
    )


class QueueUnavailable(TemporaryError):
    """The queue cannot be reached, read or written at the moment."""

    code = "queue-unavailable"
    safe_by_default = "Your run directories and their ledgers are unchanged; the queue can be made anew from them."
    next_by_default = "Run the same command again later; `backhaul queue rebuild` makes a queue anew."


class LedgerUnwritable(TemporaryError):
    """The ledger can be written neither beside the log nor in the user's state folder, or the receipt not there."""

    code = "ledger-unwritable"
    next_by_default = "Make the run directory or your state folder writable, then run the same command again."


class QuarantineError(BackhaulError):
    """This run, row or payload cannot be sent as it is; the others are."""

    code = "quarantined"
    exit_code = 6
    next_by_default = "Look at the run with `backhaul status`."


class UnreadableFile(QuarantineError):
    """A file cannot be opened or read."""

    code = "unreadable-file"
    next_by_default = "Give yourself read permission on the file named above, then run the same command again."


class NotAWandbLog(QuarantineError):
    """The bytes of the file are not a W&B transaction log."""

    code = "not-a-wandb-log"
    next_by_default = (
        "Check where this file came from; the log of a run is named `run-ID.wandb` and starts with the bytes `:W&B`."
    )


class EmptyLog(QuarantineError):
    """The log holds no run: the job was killed before the first block reached the disk."""

    code = "empty-log"
    next_by_default = (
        "`backhaul repair` makes a log of what the run's other files still have; if that is nothing, delete the folder."
    )


class RemoteConflict(QuarantineError):
    """The destination already holds other content under this run id."""

    code = "remote-conflict"
    next_by_default = "Send the run under a new id with `--id NEW`, or overwrite what is there with `--force`."


class PayloadMissing(QuarantineError):
    """A file that the log names is not where it should be."""

    code = "payload-missing"
    next_by_default = "Copy the file to the place named above and run the same command again."


class NotProven(QuarantineError):
    """The run stays here: it is not proved that all of it is at the destination."""

    code = "not-proven"
    safe_by_default = "Nothing of this run was deleted."
    next_by_default = "Run `backhaul sync` on it, or `backhaul verify` if it was sent already."


class NotABundle(QuarantineError):
    """The file is no bundle, or nothing of a bundle is left in it."""

    code = "not-a-bundle"
    next_by_default = (
        "Check where this file came from; `backhaul pack` makes bundles. Copy it again if it should be one."
    )


class BundleIncomplete(QuarantineError):
    """A volume of the bundle is not there, or the bundle ends before its end."""

    code = "bundle-incomplete"
    next_by_default = (
        "Bring what is missing, or copy the bundle again, then run the same command again; "
        "`backhaul unpack --partial` takes what is there."
    )


class ReceiptRefused(QuarantineError):
    """A receipt that was carried here does not prove what lies here."""

    code = "receipt-refused"
    safe_by_default = "The run counts as before; nothing was marked or deleted."
    next_by_default = "Pack the run again, sync that bundle on the other side, and bring the new receipt."


class RefusedError(BackhaulError):
    """The server said no, and will say no again."""

    code = "refused"
    exit_code = 7
    safe_by_default = "Your run directories are unchanged; what was acknowledged before is remembered."
    next_by_default = "The same command will not help; change what the server objects to."


class BadRequest(RefusedError):
    """The server does not accept the content (400, 410, 422, or a GraphQL error)."""

    code = "bad-request"


class Forbidden(RefusedError):
    """The key is valid but has no permission here (403)."""

    code = "forbidden"
    next_by_default = "Check entity and project (`-e`, `-p`) and that your account may write there."


class NotFound(RefusedError):
    """The entity, project or run does not exist (404)."""

    code = "not-found"
    next_by_default = "Check entity and project (`-e`, `-p`)."


class RunDeleted(RefusedError):
    """The run id was used before and deleted (409)."""

    code = "run-deleted"
    next_by_default = (
        "Restore the run on the server (W&B: in the menu of the project's Overview, for some days after the deletion), "
        "or send it under a new id with `--id NEW`."
    )


class TooLarge(RefusedError):
    """The server does not take a request of this size (413)."""

    code = "too-large"


class UnexpectedAnswer(RefusedError):
    """The answer is not what a W&B server says, a login page for example."""

    code = "unexpected-answer"
    next_by_default = "Check the URL: is this a W&B server, and does a proxy or login page stand between?"


class NotProvable(RefusedError):
    """The server does not tell what it holds of a run, so that nothing of it can be proved."""

    code = "not-provable"
    safe_by_default = "Your run directories are unchanged, and the run is not marked as synced."
    next_by_default = "Keep the run; look at the server with its own means, or send the run to one that can be asked."


class DeadlineReached(BackhaulError):
    """The time that the user allowed is over."""

    code = "deadline"
    exit_code = 8
    safe_by_default = "What the server acknowledged is remembered; nothing will be sent twice."
    next_by_default = "Run the same command again; it goes on where it stopped."


class LogDamaged(BackhaulError):
    """Records inside the log could not be read; all that can be read was delivered."""

    code = "log-damaged"
    exit_code = 9
    safe_by_default = "The damaged log is unchanged; every record that can be read was delivered and read back."
    next_by_default = "Look for an undamaged copy of the log; if there is none, what arrived is all there is."


class BundleDamaged(LogDamaged):
    """Bytes of a bundle were changed on the way; the files that they hit are named, the others are good."""

    code = "bundle-damaged"
    safe_by_default = "Files that were hit were left out; every other file has the digest that it was packed with."
    next_by_default = "Copy the bundle again from where it was made, then run the same command again."


class VerificationFailed(BackhaulError):
    """The destination was read back and differs from the log."""

    code = "verification-failed"
    exit_code = 10
    safe_by_default = "Your run directories are unchanged, and the run is not marked as synced."
    next_by_default = "Run the same command again; if the difference stays, somebody else writes to this run."


class Interrupted(BackhaulError):
    """The user or the system stopped the command."""

    code = "interrupted"
    exit_code = 130
    safe_by_default = "What the server acknowledged is remembered; nothing will be sent twice."
    next_by_default = "Run the same command again; it goes on where it stopped."


class Terminated(Interrupted):
    """The system asked the command to end (SIGTERM)."""

    code = "terminated"
    exit_code = 143
