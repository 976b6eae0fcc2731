"""`backhaul verify` as a process: what it proves, and what it does not believe."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from backhaul.sync.signature import canonical

from ..command import Backhaul, Finished, copy_of, id_of, marker_of, record
from ..conftest import DepotProcess
from ..depot_contents import held


def _official_sync(backhaul: Backhaul, run: Path, project: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", "--yes", "-p", project, str(run)],
        env=backhaul.env, cwd=run.parent, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def _post(depot: DepotProcess, path: str, body: object) -> None:
    """What somebody else may send to the server."""
    key = base64.b64encode(f"api:{depot.api_key}".encode()).decode()
    headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(depot.url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def _told(done: Finished) -> str:
    error = done.only["error"]
    return "" if error is None else str(error["message"])


@pytest.fixture
def run(healthy_original: Path, tmp_path: Path) -> Path:
    """A copy of a healthy run with rows, console, a saved file."""
    from ..command import copied

    return copied(healthy_original, tmp_path)


def test_a_run_that_the_official_client_sent_is_proved(backhaul: Backhaul, run: Path, project: str) -> None:
    """No ledger, no sync of ours: the destination is asked, every row is read back, and the run has its receipt."""
    _official_sync(backhaul, run, project)
    done = backhaul("verify", run, "-p", project, "--deep", "--json")
    assert (done.exit_code, done.only["state"], done.only["error"]) == (0, "verified", None)
    assert done.only["streams"]["history"] == {"local": 300, "remote": 300}
    assert Path(done.only["receipt"]).exists()
    (standing,) = backhaul("status", run, "--json").document["runs"]
    assert standing["next"] == "nothing"
    again = backhaul.sync(run, "-p", project)
    assert (again.exit_code, again.only["state"]) == (0, "verified")


def test_a_run_that_is_not_there_is_told_whatever_its_marker_says(backhaul: Backhaul, run: Path, project: str) -> None:
    """`.synced` is not believed; nothing is made on the server by asking; exit code 10."""
    marker_of(run).touch()
    done = backhaul("verify", run, "-p", project, "--json")
    assert (done.exit_code, done.only["error"]["code"]) == (10, "verification-failed")
    assert "is not at the destination" in _told(done)
    assert "backhaul sync" in done.only["error"]["next"]


def test_what_was_taken_away_or_changed_on_the_server_is_named(
    backhaul: Backhaul, run: Path, project: str, depot: DepotProcess
) -> None:
    """A deleted file, a changed summary, a changed row in the middle, seen by `--deep` alone; a sync mends the rest."""
    assert backhaul.sync(run, "-p", project).exit_code == 0
    assert backhaul("verify", run, "-p", project, "--deep", "--json").exit_code == 0
    row = held(depot.data, project, id_of(run)).rows[150] | {"loss": 77.0}
    _post(
        depot,
        f"/files/tester/{project}/{id_of(run)}/file_stream",
        {
            "files": {"wandb-history.jsonl": {"offset": 150, "content": [json.dumps(row)]}},
            "complete": True,
            "exitcode": 0,
        },
    )
    shallow = backhaul("verify", run, "-p", project, "--json")
    assert (shallow.exit_code, _told(shallow)) == (0, "")
    deep = backhaul("verify", run, "-p", project, "--deep", "--json")
    assert (deep.exit_code, "'loss' at step 150" in _told(deep)) == (10, True)
    assert "found 77.0" in _told(deep)
    script = f"""
import wandb
run = wandb.Api().run("tester/{project}/{id_of(run)}")
run.file("saved.txt").delete()
run.summary["loss"] = 99
run.summary.update()
"""
    subprocess.run([sys.executable, "-c", script], env=backhaul.env, check=True, capture_output=True)
    told = _told(backhaul("verify", run, "-p", project, "--json"))
    assert "file saved.txt" in told
    assert "summary 'loss'" in told
    mended = backhaul.sync(run, "-p", project)
    assert (mended.exit_code, mended.only["state"]) == (0, "verified")
    assert "saved.txt" in held(depot.data, project, id_of(run)).files


def test_a_run_that_broke_off_is_not_verified_and_a_sync_completes_it(
    backhaul: Backhaul, run: Path, project: str, sdk_env: dict[str, str]
) -> None:
    """The server holds the half that an online run brought: verify says what is missing, sync sends it."""
    script = f"""
import wandb
run = wandb.init(project={project!r}, id={id_of(run)!r}, name="Healthy one")
run.finish()
"""
    subprocess.run([sys.executable, "-c", script], env=sdk_env, check=True, capture_output=True, cwd=run.parent)
    done = backhaul("verify", run, "-p", project, "--json")
    assert done.exit_code in (6, 10), done.stdout


def test_fragments_of_one_run_are_verified_in_their_order(
    backhaul: Backhaul, sdk_env: dict[str, str], tmp_path: Path, project: str
) -> None:
    """Two parts of a resumed run: each is proved at its own line numbers, and both may go then."""
    script = """
        import wandb
        run = wandb.init(project="p", id="parts", resume="allow")
        for _ in range(5):
            run.log({"x": 1})
        run.finish()
    """
    first, second = record(script, tmp_path / "a", sdk_env)[0], record(script, tmp_path / "b", sdk_env)[0]
    assert backhaul.sync(tmp_path, "-p", project).exit_code == 0
    done = backhaul("verify", first, second, "-p", project, "--deep", "--json")
    assert [(run["state"], run["error"]) for run in done.document["runs"]] == [("verified", None), ("verified", None)]
    cleaned = backhaul("clean", tmp_path, "-p", project, "--yes", "--json")
    assert [run["fate"] for run in cleaned.document["runs"]] == ["deleted", "deleted"]


def test_artifacts_are_part_of_the_proof(
    backhaul: Backhaul, sdk_env: dict[str, str], tmp_path: Path, project: str
) -> None:
    """An artifact that the official client sent is found by its client id; one that is gone is told."""
    script = f"""
        import wandb
        run = wandb.init(project={project!r}, id="art")
        artifact = wandb.Artifact("weights", "model")
        with artifact.new_file("w.txt") as file:
            file.write("weights")
        run.log_artifact(artifact)
        run.log(dict(x=1))
        run.finish()
    """
    (run,) = record(script, tmp_path, sdk_env)
    _official_sync(backhaul, run, project)
    done = backhaul("verify", run, "-p", project, "--json")
    assert (done.exit_code, done.only["artifacts"]) == (0, {"local": 1, "remote": 1})
    gone = f"import wandb; wandb.Api().artifact('tester/{project}/weights:v0').delete(delete_aliases=True)"
    subprocess.run([sys.executable, "-c", gone], env=backhaul.env, check=True, capture_output=True)
    assert backhaul("verify", run, "-p", project, "--json").exit_code in (6, 10)


def test_a_receipt_can_be_checked_long_after_without_the_log(backhaul: Backhaul, run: Path, project: str) -> None:
    """The signature, the key, and what the destination still holds; a changed byte is noticed."""
    receipt = Path(backhaul.sync(run, "-p", project).only["receipt"])
    elsewhere = run.parent / "receipt.json"
    elsewhere.write_bytes(receipt.read_bytes())
    assert receipt.read_bytes() == canonical(json.loads(receipt.read_bytes())) + b"\n"
    for path in sorted(run.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    done = backhaul("verify", "--receipt", elsewhere, "--json")
    assert (done.exit_code, done.document["own_key"]) == (0, True)
    stranger = backhaul.with_env(HOME=str(run.parent))
    assert stranger("verify", "--receipt", elsewhere, "--json").document["own_key"] is False
    forged: dict[str, Any] = json.loads(elsewhere.read_text())
    forged["lines"]["history"] += 1
    elsewhere.write_text(json.dumps(forged))
    changed = backhaul("verify", "--receipt", elsewhere, "--json")
    assert (changed.exit_code, changed.document["error"]["code"]) == (10, "verification-failed")
    assert "signature" in changed.document["error"]["message"]


def test_a_receipt_of_what_is_no_longer_there_fails(backhaul: Backhaul, run: Path, project: str) -> None:
    """The receipt is true to what was there; the destination is asked what is there now."""
    receipt = backhaul.sync(run, "-p", project).only["receipt"]
    script = f"import wandb; wandb.Api().run('tester/{project}/{id_of(run)}').file('saved.txt').delete()"
    subprocess.run([sys.executable, "-c", script], env=backhaul.env, check=True, capture_output=True)
    done = backhaul("verify", "--receipt", receipt, "--json")
    assert done.exit_code == 10
    assert "file saved.txt" in done.document["error"]["message"]


def test_the_signing_key_is_the_user_s_alone(backhaul: Backhaul, tmp_path: Path, project: str) -> None:
    """Made at the first receipt, readable by nobody else."""
    assert backhaul.sync(copy_of("0.18.7", tmp_path), "-p", project).exit_code == 0
    key = backhaul.state / "receipt-key"
    assert key.stat().st_mode & 0o777 == 0o600
