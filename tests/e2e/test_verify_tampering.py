"""What somebody changes at the destination is noticed by `verify`, and by a receipt without the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import backhaul
from backhaul import errors

from ..command import bare_env, id_of, record
from ..conftest import DepotProcess
from ..depot_client import Client
from ..depot_contents import held
from ..sync_receipt import check_receipt_of

_RUN = """
    import wandb
    run = wandb.init(project="p", id="tampered", config={"lr": 0.1, "net": {"width": 64}})
    with open("saved.txt", "w") as file:
        file.write("saved " * 500)
    run.save("saved.txt")
    artifact = wandb.Artifact("weights", "model")
    with artifact.new_file("w.txt") as file:
        file.write("weights")
    run.log_artifact(artifact)
    for step in range(60):
        run.log({"loss": 1 / (step + 1), "nested": {"a": step}})
    print("the end")
    run.finish()
"""


class There:
    """The run at the destination, as somebody may change it."""

    def __init__(self, depot: DepotProcess, project: str, run: str) -> None:
        self.client, self.project, self.run = Client(depot.url, depot.api_key), project, run
        self.rows = held(depot.data, project, run).rows

    def describe(self, **fields: str) -> None:
        """Change the run itself."""
        self.client.open_run(self.project, self.run, **fields)

    def lines(self, stream: str, offset: int, *lines: str) -> None:
        """Write lines of a stream from a number on."""
        files = {stream: {"offset": offset, "content": list(lines)}}
        body = {"files": files, "complete": True, "exitcode": 0}
        assert self.client.stream(self.project, self.run, body).status == 200

    def row(self, number: int, **changed: object) -> None:
        """Write another row in the place of one; a value of None takes the key away."""
        row = {key: value for key, value in (self.rows[number] | changed).items() if value is not None}
        self.lines("wandb-history.jsonl", number, json.dumps(row))

    def put(self, name: str, content: bytes) -> None:
        """Write a file over."""
        address = self.client.upload_address(self.project, self.run, name)
        assert self.client.request("PUT", address, content).status in (200, 201)

    def delete(self, mutation: str, fields: str, argument: str) -> None:
        """Delete the first thing of a connection of the run."""
        first = self.client.run_field(self.project, self.run, fields)["found"]["edges"][0]["node"]["id"]
        reply = self.client.query(mutation, {argument: first}).json
        assert "errors" not in reply, reply


_FILE = "mutation($f: ID!) { deleteFiles(input: {files: [$f]}) { success } }"
_ARTIFACT = "mutation($a: ID!) { deleteArtifact(input: {artifactID: $a, deleteAliases: true}) { artifact { id } } }"

_SEEN: dict[str, tuple[Callable[[There], None], str]] = {
    "a summary value": (lambda run: run.describe(summaryMetrics='{"loss": 99}'), "summary"),
    "a config value": (lambda run: run.describe(config='{"lr": {"value": 0.2}}'), "config"),
    "a nested config value": (
        lambda run: run.describe(config='{"lr": {"value": 0.1}, "net": {"value": {"width": 65}}}'),
        "config 'net'",
    ),
    "a file that is gone": (
        lambda run: run.delete(_FILE, 'found: files(names: ["saved.txt"]) { edges { node { id } } }', "f"),
        "file saved.txt",
    ),
    "a file of the same size": (lambda run: run.put("saved.txt", b"SAVED " * 500), "file saved.txt"),
    "a longer file": (lambda run: run.put("saved.txt", b"saved " * 501), "file saved.txt"),
    "an artifact that is gone": (
        lambda run: run.delete(_ARTIFACT, "found: outputArtifacts { edges { node { id } } }", "a"),
        "artifact",
    ),
    "a row more": (lambda run: run.lines("wandb-history.jsonl", 60, '{"_step": 60, "loss": 1}'), "of wandb-history"),
    "a system metric more": (lambda run: run.lines("wandb-events.jsonl", 999, '{"system.cpu": 1}'), "of wandb-events"),
    "a console line more": (lambda run: run.lines("output.log", 999, "and on"), "lines of output"),
    "another last step": (lambda run: run.row(59, _step=159), "last step"),
    "a run that runs": (lambda run: run.describe(state="running"), "state"),
}
_SEEN_BY_DEEP: dict[str, Callable[[There], None]] = {
    "another value": lambda run: run.row(30, loss=77.0),
    "a key less": lambda run: run.row(30, loss=None),
    "another nested value": lambda run: run.row(30, nested={"a": 31}),
    "another step": lambda run: run.row(30, _step=31),
    "the last row's value": lambda run: run.row(59, loss=77.0),
    "a number as a text": lambda run: run.row(30, loss=str(1 / 31)),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run, recorded once."""
    home = tmp_path_factory.mktemp("tampered")
    return record(_RUN, home, bare_env(home))[0]


@pytest.fixture
def there(
    original: Path, sdk_env: dict[str, str], project: str, depot: DepotProcess, monkeypatch: pytest.MonkeyPatch
) -> There:
    """The run, synced and proved."""
    for name, value in sdk_env.items():
        monkeypatch.setenv(name, value)
    # The contents of the artifact lie in the home of whoever recorded it.
    assert backhaul.sync(original, project=project).exit_code == 0
    assert backhaul.verify(original, project=project, deep=True).exit_code == 0
    return There(depot, project, id_of(original))


@pytest.mark.parametrize("what", _SEEN)
def test_what_was_changed_is_noticed_with_the_log_and_by_the_receipt(there: There, original: Path, what: str) -> None:
    """Both say what differs; an untouched run passes both."""
    (proved,) = backhaul.verify(original, project=there.project).runs
    check_receipt_of(proved.receipt)
    tamper, named = _SEEN[what]
    tamper(there)
    (outcome,) = backhaul.verify(original, project=there.project).runs
    assert any(named in str(difference) for difference in outcome.differences), outcome
    with pytest.raises(errors.VerificationFailed, match=named):
        check_receipt_of(proved.receipt)


@pytest.mark.parametrize("what", _SEEN_BY_DEEP)
def test_a_row_that_was_changed_is_noticed_by_reading_all_rows(there: There, original: Path, what: str) -> None:
    """Counts, last step and summary are as they were; the row itself is not."""
    _SEEN_BY_DEEP[what](there)
    (outcome,) = backhaul.verify(original, project=there.project, deep=True).runs
    assert isinstance(outcome.error, errors.VerificationFailed)
    assert any("step" in difference.what for difference in outcome.differences), outcome.differences
