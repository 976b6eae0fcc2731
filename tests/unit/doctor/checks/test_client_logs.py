"""The official client's messages, as users have reported them, are recognised."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from backhaul.doctor.checks import client_logs
from backhaul.doctor.patient import Surroundings


def _meanings(folder: Path, line: str) -> list[str]:
    log = folder / "wandb" / "logs" / "debug-sync.20261122.101010.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"an ordinary line\n{line}\nanother one\n")
    surroundings = Surroundings({}, folder, folder, (folder / "wandb",), folder)
    found = list(client_logs.check(surroundings))
    assert all(finding.evidence == f"{log}: {line.strip()[:300]}" for finding in found)
    assert all(finding.remedy.endswith(str(folder / "wandb")) for finding in found)
    return [finding.message for finding in found]


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("Error while calling W&B API: run e/p/i was previously created and deleted; try a new run name", "deleted"),
        ("wandb: ERROR invalid tag 'x'. must be between 1 and 64 characters (<Response [400]>)", "tags or job type"),
        ("invalid parameters: 64 limit exceeded for JobType (<Response [400]>)", "tags or job type"),
        ("sender: failed to log artifact: x failed to get file size for path /a/b: no such file", "was not where"),
        ("runfiles: upload: file does not exist", "was not where"),
        ("ERROR Fatal error while uploading data. Some run data will not be synced", "gave up uploading rows"),
        ("transactionlog: error getting next record: EOF", "could not read the log"),
        ("leveldb/record: invalid chunk (checksum mismatch)", "could not read the log"),
        ('{"error":"rate limit exceeded: per_run limit on filestream requests"}', "slow down"),
        ("ssl.SSLCertVerificationError: self signed certificate in certificate chain", "certificate"),
        ("permission denied (<Response [403]>)", "may not write"),
        ("401 ... user is not logged in", "key was not accepted"),
        ("api: retrying error ... dial tcp 1.2.3.4:443: connect: connection refused", "could not be reached"),
        ("lookup api.wandb.ai: dial tcp: i/o timeout", "could not be reached"),
        ("OSError: [Errno 122] Disk quota exceeded", "no quota"),
        ("Error 1062: Duplicate entry '569728-hp' for key 'PRIMARY' (<Response [409]>)", "deleted"),
        ("wandb: ERROR project not found (<Response [404]>)", "may not write"),
        ('run "aabb" not found while updating run (<Response [404]>)', "may not write"),
        ("internal database error (<Response [500]>)", "in trouble"),
        ("PUT https://storage.googleapis.com/x: 503 Service Unavailable", "storage host"),
        ("Metric data exceeds maximum size of 4.1MB (4.2MB)", "too large"),
        ("a newer wandb version is required to read this file", "another release"),
        ("WARNING Tried to log to step 3 that is less than the current step 4. Steps must be", "step 0 again"),
        ("panic: runtime error: invalid memory address or nil pointer dereference", "crashed"),
        ("Failed to sync all data: the file ends with an incomplete record.", "torn place"),
        (".wandb file is empty (header is 0 bytes instead of the expected 7), skipping: x", "reached the disk"),
        ("PermissionError: [Errno 13] Permission denied: '/tmp/debug-cli.log'", "another user"),
    ],
)
def test_a_known_message_is_translated_with_its_line_as_evidence(tmp_path: Path, line: str, meaning: str) -> None:
    """One finding, with the meaning in plain words."""
    (found,) = _meanings(tmp_path, line)
    assert meaning in found


def test_an_ordinary_log_has_no_findings(tmp_path: Path) -> None:
    """What is no failure is not told."""
    assert _meanings(tmp_path, "runwork: got id for run, uploading file 200 of 403 bytes") == []


def test_only_the_newest_line_of_each_message_is_shown(tmp_path: Path) -> None:
    """A log of a thousand retries is one finding."""
    log = tmp_path / "wandb" / "offline-run-1" / "logs" / "debug-internal.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"attempt {n}: 429 encountered, retrying\n" for n in range(1000)))
    (finding,) = client_logs.check(Surroundings({}, tmp_path, tmp_path, (tmp_path / "wandb",), tmp_path))
    assert finding.evidence == f"{log}: attempt 999: 429 encountered, retrying"


def test_every_message_stands_in_its_section_of_the_troubleshooting_page() -> None:
    """Who searches the page for a message finds it: the page quotes what the doctor looks for, under its class."""
    page = (Path(__file__).parents[4] / "docs" / "troubleshooting.md").read_text()
    sections = [section.replace("`", "") for section in page.split("\n### ")[1:]]
    missing = [
        known.row
        for known in client_logs.KNOWN
        if not any(known.pattern.search(each) for each in sections if re.search(rf"\b{known.row}\b", each))
    ]
    assert missing == []


def test_what_the_page_says_of_variables_holds_for_the_engine_that_is_installed() -> None:
    """The engine knows the variables that the page says it knows, and none of those that it is said to ignore."""
    (engine,) = Path(find_spec("wandb").origin or "").parent.glob("bin/wandb-core*")  # type: ignore[union-attr]
    code = engine.read_bytes()
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "WANDB_DEBUG")
    assert [name for name in names if name.encode() in code] == ["SSL_CERT_FILE", "SSL_CERT_DIR"]


def test_a_log_to_which_a_link_leads_as_well_is_told_once(tmp_path: Path) -> None:
    """`latest-run` is the run itself; the finding names its own folder."""
    run = tmp_path / "wandb" / "offline-run-20260101_100000-aaa"
    (run / "logs").mkdir(parents=True)
    (run / "logs" / "debug-internal.log").write_text("write: no space left on device\n")
    (tmp_path / "wandb" / "latest-run").symlink_to(run.name)
    found = client_logs.check(Surroundings({}, tmp_path, tmp_path, (tmp_path / "wandb",), tmp_path))
    assert [finding.path for finding in found] == [str(run / "logs" / "debug-internal.log")]
