"""The signing key of receipts, and what a signature proves."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from backhaul.sync.signature import canonical, own_fingerprint, signed, signer_of


def test_runs_that_end_at_the_same_time_make_one_key(tmp_path: Path) -> None:
    """Whoever is first, all receipts are signed with the same key, and none fails."""
    start = Barrier(16)

    def sign(number: int) -> str | None:
        start.wait()
        return signer_of(signed({"receipt": number}, tmp_path / "state"))

    with ThreadPoolExecutor(16) as threads:
        signers = set(threads.map(sign, range(16)))
    assert signers == {own_fingerprint(tmp_path / "state")}
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["receipt-key"]


def test_a_signature_is_of_the_content_alone(tmp_path: Path) -> None:
    """The order of members does not matter; a changed, added or missing one does; so does another's signature."""
    document = signed({"receipt": 1, "lines": {"history": 3, "events": 0}}, tmp_path)
    assert signer_of(dict(reversed(document.items()))) == own_fingerprint(tmp_path)
    assert signer_of({**document, "receipt": 2}) is None
    assert signer_of({**document, "more": 1}) is None
    assert signer_of({key: value for key, value in document.items() if key != "lines"}) is None
    assert signer_of({"receipt": 1, "signature": document["signature"]}) is None
    assert signer_of({"receipt": 1}) is None
    assert signer_of({**document, "signature": "nonsense"}) is None


def test_what_is_no_unicode_can_be_signed_and_read_again(tmp_path: Path) -> None:
    """A path may have any bytes, a value half of a surrogate pair; what is written is UTF-8 all the same."""
    document = signed(
        {"receipt": 1, "path": "/runs/\udcff", "config": {"half": "\ud83d", "text": "\\udcff ü"}}, tmp_path
    )
    written = canonical(document)
    assert json.loads(written.decode()) == document
    assert signer_of(json.loads(written)) == own_fingerprint(tmp_path)
