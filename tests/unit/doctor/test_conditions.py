"""What lies around a run, made as users have it, and what the doctor says of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from backhaul.doctor import examination
from backhaul.doctor.diagnosis import Condition, Diagnosis
from backhaul.doctor.examination import examine
from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Patient, Surroundings
from backhaul.runs.directory import RunDirectory
from backhaul.wandblog import LogReader, LogWriter

from ...command import copied, copy_of, log_of, marker_of


def _visit(run: Path, remote: Sequence[Finding] = (), **around: object) -> Diagnosis:
    home = run.parent.parent
    surroundings = Surroundings({}, home, home, (run.parent,), home / "state")
    return examine([RunDirectory(run, log_of(run))], replace(surroundings, **around), remote=remote)


def _only(diagnosis: Diagnosis) -> Finding:
    (finding,) = diagnosis.findings
    return finding


def _rewritten(run: Path, old: bytes, new: bytes) -> None:
    """The log with other bytes of the same length in its records, whole and valid."""
    assert len(old) == len(new)
    log = log_of(run)
    records = [data for batch in LogReader(log).batches() for data in batch.datas]
    assert any(old in record for record in records)
    with log.open("wb") as file:
        writer = LogWriter(file)
        for record in records:
            writer.write(record.replace(old, new))


def _environment(folder: Path, release: str) -> dict[str, str]:
    """A virtual environment with a wandb of this release, as far as its files tell; the path that leads to it."""
    (folder / "lib/python3.11/site-packages" / f"wandb-{release}.dist-info").mkdir(parents=True)
    (folder / "bin").mkdir()
    command = folder / "bin/wandb"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    return {"PATH": str(folder / "bin")}


def _with_its_file_elsewhere(tmp_path: Path, link: str) -> tuple[Path, Path]:
    """A run whose saved file lies in the project beside it, while its link leads to another machine's folder."""
    run = copy_of("0.21.4", tmp_path / "cifar run")
    saved, new = run / "files" / "weights.bin", tmp_path / "cifar run" / "out" / "weights.bin"
    new.parent.mkdir()
    saved.rename(new)
    saved.symlink_to(link)
    return run, new


def test_a_tree_that_was_moved_as_a_whole_lacks_nothing(tmp_path: Path) -> None:
    """A sync finds its files where they lie now: there is nothing to mend."""
    run, _ = _with_its_file_elsewhere(tmp_path, "/cluster/ada/cifar run/out/weights.bin")
    assert _visit(run).findings == ()


def test_files_that_were_copied_with_the_project_are_found_again(tmp_path: Path) -> None:
    """The project has another name by now: what probably is the file is told, and the remedy mends the link."""
    run, new = _with_its_file_elsewhere(tmp_path, "/cluster/ada/cifar/out/weights.bin")
    finding = _only(_visit(run))
    assert (finding.code, "was moved" in finding.message, str(new) in finding.evidence) == (
        "payload-missing",
        True,
        True,
    )
    subprocess.run(finding.remedy, shell=True, check=True)
    assert _visit(run).findings == ()


def test_a_file_that_is_nowhere_is_not_mistaken_for_another_of_its_name(tmp_path: Path) -> None:
    """A file of the same name in an unrelated folder above is no sign."""
    run = copy_of("0.21.4", tmp_path / "cifar")
    (run / "files" / "weights.bin").unlink()
    (run / "files" / "weights.bin").symlink_to("/cluster/ada/cifar/out/weights.bin")
    (tmp_path / "weights.bin").write_text("of something else")
    assert "is gone" in _only(_visit(run)).message


@pytest.mark.parametrize(
    ("old", "new", "option"),
    [
        (b"rec-0310", b"rec:0310", "--id rec-0310 "),
        (b"rec-0310", b" ec-0310", "--id ec-0310 "),
        (b"recorded", b"rec/rded", "-p rec-rded "),
    ],
)
def test_names_that_no_server_takes_are_told_with_the_nearest_that_one_does(
    tmp_path: Path, old: bytes, new: bytes, option: str
) -> None:
    """Run ids and project names of older SDKs, which did not look at them."""
    run = copy_of("0.31.0", tmp_path)
    _rewritten(run, old, new)
    finding = _only(_visit(run))
    assert (finding.code, option in finding.remedy) == ("metadata-refused", True), finding


def test_a_log_that_grows_on_another_host_is_being_recorded(tmp_path: Path) -> None:
    """No process here writes it, and its directory changed a moment ago; after a quarter of an hour it was killed."""
    run = copy_of("0.31.0-killed", tmp_path)
    host = next(
        record.content.host for batch in LogReader(log_of(run)).batches() for record in batch if record.kind == "run"
    )
    _rewritten(run, host.encode(), b"x" * len(host.encode()))
    started = time.time()
    for path in (run / "files", *run.rglob("*")):
        os.utime(path, (1, 1), follow_symlinks=False)  # older than the run: no copy that was made just now
    os.utime(log_of(run), (started - 5, started - 5))
    grows = _visit(run)
    assert (grows.conditions, _only(grows).code) == ((Condition.RECORDING,), "still-recording")
    assert "cannot be seen from here" in _only(grows).evidence
    less = Finding("remote-state", "The server takes it for running.", "seen", "backhaul sync", str(run))
    assert [finding.code for finding in _visit(run, remote=[less]).findings] == ["still-recording"]
    os.utime(log_of(run), (started - 1000, started - 1000))
    assert _only(_visit(run)).code == "no-exit-record"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements-gpu.txt", "torch\nwandb==0.16.6\n"),
        ("pyproject.toml", '[project]\ndependencies = ["wandb[media] == 0.16.6", "wandb-osh==1.2.2"]\n'),
        ("environment.yml", "dependencies:\n  - wandb=0.16.6\n"),
        ("uv.lock", '[[package]]\nname = "wandb"\nversion = "0.16.6"\n'),
        ("poetry.lock", '[[package]]\nname = "wandb"\nversion = "0.16.6"\n'),
        ("Pipfile.lock", '{"default": {"wandb": {"hashes": ["sha256:1"], "index": "pypi", "version": "==0.16.6"}}}'),
    ],
)
def test_a_pin_that_is_not_what_is_installed_is_told(tmp_path: Path, name: str, text: str) -> None:
    """The wandb in the user's path counts, and not the one beside backhaul."""
    run = copy_of("0.16.6", tmp_path)
    (tmp_path / name).write_text(text)
    older = _environment(tmp_path / "old", "0.16.6")
    assert _visit(run, env=older).findings == ()
    finding = _only(_visit(run, env=_environment(tmp_path / "new", "0.31.0")))
    assert (finding.code, finding.remedy) == ("sdk-differs", "pip install wandb==0.16.6")
    assert name in finding.evidence


def test_a_wandb_that_loses_data_and_one_that_is_older_than_the_runs_are_told(tmp_path: Path) -> None:
    """What is installed would lose rows, or could not read what a newer release wrote."""
    lossy = _only(_visit(copy_of("0.18.7", tmp_path / "a"), env=_environment(tmp_path / "lossy", "0.24.0")))
    assert lossy.code == "lossy-sdk"
    older = _only(_visit(copy_of("0.31.0", tmp_path / "b"), env=_environment(tmp_path / "older", "0.19.11")))
    assert (older.code, older.remedy) == ("sdk-differs", "pip install wandb==0.31.0")


def test_runs_that_wandb_0_24_0_sent_are_told(tmp_path: Path) -> None:
    """Offline ones that are marked, and online ones beside them, which no sync of the whole folder takes."""
    sent = copy_of("0.24.2", tmp_path)
    _rewritten(sent, b"0.24.2", b"0.24.0")
    assert _visit(sent).findings == ()
    marker_of(sent).touch()
    online = copied(sent, tmp_path / "other")
    online.rename(sent.parent / online.name.removeprefix("offline-"))
    codes = sorted((finding.code, Path(finding.path or "").parent.name[:7]) for finding in _visit(sent).findings)
    assert codes == [("lossy-sdk", "offline"), ("lossy-sdk", "run-202"), ("marked-not-proven", "offline")]


def test_a_call_with_removed_options_is_told_however_it_is_written(tmp_path: Path) -> None:
    """Continued lines, Python lists, another interpreter; options that only begin alike are none of them."""
    run = copy_of("0.18.7", tmp_path)
    (tmp_path / "a.sh").write_text("python -m wandb sync \\\n  --append \\\n  wandb/offline-run-*\n")
    (tmp_path / "b.py").write_text('subprocess.run(["wandb", "sync", "--include-offline", path])\n')
    (tmp_path / "c.sh").write_text("wandb sync --append-only\necho wandb; sync --append\n")
    findings = {Path(finding.path or "").name: finding for finding in _visit(run).findings}
    assert {name: finding.code for name, finding in findings.items()} == dict.fromkeys(
        ("a.sh", "b.py"), "removed-option"
    )
    assert findings["a.sh"].remedy == "backhaul sync wandb/offline-run-*"


def test_settings_that_wandb_itself_wrote_are_told_and_their_remedies_work(tmp_path: Path) -> None:
    """`wandb offline`, `wandb disabled`, a mode in the user's own file; each remedy, typed, ends it."""
    run, wandb = copy_of("0.18.7", tmp_path), [sys.executable, "-m", "wandb"]
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path / "home")}
    own = tmp_path / "home" / ".config" / "wandb" / "settings"
    own.parent.mkdir(parents=True)
    own.write_text("[default]\nmode = offline\nentity = ada\n")
    subprocess.run([*wandb, "disabled"], cwd=tmp_path, env=env, check=True, capture_output=True)
    findings = _visit(run, env=env, home=tmp_path / "home").findings
    assert {(finding.code, "not recorded at all" in finding.message) for finding in findings} == {
        ("offline-switch", True),
        ("offline-switch", False),
    }
    for finding in findings:
        subprocess.run(finding.remedy, shell=True, env=env, check=True, capture_output=True)
    assert _visit(run, env=env, home=tmp_path / "home").findings == ()
    assert "entity = ada" in own.read_text()


def test_a_run_that_is_moved_away_during_the_visit_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found of it until then counts."""
    run = copy_of("0.31.0", tmp_path)
    log = log_of(run)

    def move(_: Patient) -> Iterator[Finding]:
        log.rename(tmp_path / log.name)
        return iter(())

    monkeypatch.setattr(examination, "_OF_A_RUN", (move,))
    home = tmp_path / "home"
    visit = examine([RunDirectory(run, log)], Surroundings({}, home, home, (), home / "state"))
    assert (visit.conditions, visit.to_send.runs) == ((Condition.READY,), 1)
