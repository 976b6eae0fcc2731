"""`backhaul doctor` as a process: each condition is made for real, and found with its evidence."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from backhaul.cli.doctor_view import show_diagnosis
from backhaul.doctor.diagnosis import Condition, Diagnosis
from backhaul.doctor.finding import Finding
from backhaul.wandblog import LogReader, LogWriter

from ..command import Backhaul, copy_of, log_of, marker_of, record
from ..doctor_findings import found_by


def test_a_healthy_run_has_no_findings(backhaul: Backhaul, tmp_path: Path) -> None:
    """Nothing stands in the way: exit code 0 and a verdict that says so."""
    run = copy_of("0.18.7", tmp_path)
    assert (
        backhaul("doctor", "--offline", run, "--json").document["findings"],
        backhaul("doctor", "--offline", run).exit_code,
    ) == ([], 0)
    verdict, to_send, rest = backhaul("doctor", "--offline", run).stdout.split("\n", 2)
    assert (verdict, rest) == ("1 run: 1 ready", "nothing stands in the way\n")
    assert to_send.startswith("to send: ")


@pytest.mark.parametrize(
    ("recording", "code"),
    [
        ("empty", "empty-log"),
        ("header-only", "empty-log"),
        ("0.31.0-killed", "log-torn"),
        ("0.12.21-killed", "log-torn"),
    ],
)
def test_what_a_kill_left_is_named(backhaul: Backhaul, tmp_path: Path, recording: str, code: str) -> None:
    """A torn, empty or header-only log of a really killed run: exit code 9, and the one command that helps."""
    run = copy_of(recording, tmp_path)
    done = backhaul("doctor", "--offline", run, "--json")
    assert (done.exit_code, next(iter(found_by(done)))) == (9, code)
    assert str(run) in found_by(done)[code]["remedy"]


def test_damage_is_told_with_its_place(backhaul: Backhaul, tmp_path: Path) -> None:
    """A flipped bit in the middle: where, of which kind, and how many records it cost."""
    run = copy_of("0.31.0-long", tmp_path)
    data = bytearray(log_of(run).read_bytes())
    data[40_000] ^= 0xFF
    log_of(run).write_bytes(data)
    found = found_by(backhaul("doctor", "--offline", run, "--json"))["log-damaged"]
    assert found["severity"] == "error"
    assert "1 record is lost" in found["message"]
    assert "bad checksum at byte 3" in found["evidence"] or "bad checksum at byte 4" in found["evidence"]


def test_one_file_that_is_no_log_does_not_hide_the_others(backhaul: Backhaul, tmp_path: Path) -> None:
    """What the file is stands beside it; the run next to it is examined all the same."""
    wrong, torn = copy_of("0.31.0", tmp_path), copy_of("0.31.0-killed", tmp_path)
    log_of(wrong).write_bytes(b"SQLite format 3\0" + bytes(4080))
    found = backhaul("doctor", "--offline", tmp_path, "--json").document["findings"]
    assert {(finding["code"], finding["path"]) for finding in found} == {
        ("not-a-wandb-log", str(log_of(wrong))),
        ("log-torn", str(log_of(torn))),
    }


def test_missing_empty_and_changed_files_are_named(backhaul: Backhaul, sdk_env: dict[str, str], tmp_path: Path) -> None:
    """A dangling link, a file without content, and one that changed after it was sent."""
    script = """
        import wandb
        run = wandb.init(project="doctor", id="files")
        for name in ("gone.txt", "empty.txt", "changed.txt"):
            with open(name, "w") as file:
                file.write("" if name == "empty.txt" else name)
            run.save(name)
        run.log({"loss": 1})
        run.finish()
    """
    (run,) = record(script, tmp_path, sdk_env)
    backhaul.sync(run)
    (tmp_path / "gone.txt").unlink()
    (tmp_path / "changed.txt").write_text("something else")
    found = found_by(backhaul("doctor", "--offline", run, "--json"))
    assert set(found) == {"payload-missing", "payload-empty", "payload-changed", "can-be-cleaned"}
    assert str(tmp_path / "gone.txt") in found["payload-missing"]["evidence"]
    assert "11 bytes" in found["payload-changed"]["evidence"]
    assert "14 bytes" in found["payload-changed"]["evidence"]


def test_files_that_old_sdks_wrote_themselves_have_not_changed_since_they_were_sent(
    backhaul: Backhaul, tmp_path: Path
) -> None:
    """The console's text is sent as the log has it; the Python engine wrote it in another way into the folder."""
    runs = [copy_of(version, tmp_path / version) for version in ("0.10.33", "0.12.21", "0.17.9")]
    assert backhaul.sync(tmp_path).exit_code == 0
    done = backhaul("doctor", "--offline", *runs, "--json")
    assert (done.exit_code, set(found_by(done))) == (0, {"can-be-cleaned"})


def test_what_a_server_refuses_is_found_before_it_is_sent(
    backhaul: Backhaul, sdk_env: dict[str, str], tmp_path: Path
) -> None:
    """A tag of 65 characters, and the repair that the remedy names leads to a run without findings."""
    script = f"""
        import wandb
        run = wandb.init(project="doctor", id="tags", job_type="{"j" * 65}")
        run.tags = ("{"t" * 64}", "good")
        run.log({{"loss": 1}})
        run.finish()
    """
    (run,) = record(script, tmp_path, sdk_env)
    found = backhaul("doctor", "--offline", run, "--json").document["findings"]
    assert [finding["code"] for finding in found] == ["metadata-refused"]
    assert "65 characters" in found[0]["message"]
    mended = backhaul("repair", run, "--mend-metadata", "--json").document["output"]
    assert backhaul("doctor", "--offline", mended, "--json").document["findings"] == []


def test_a_marker_without_a_proof_is_a_finding_until_the_run_is_verified(backhaul: Backhaul, tmp_path: Path) -> None:
    """`.synced` alone proves nothing; after our sync has read the run back it is no finding any more."""
    run = copy_of("0.31.0", tmp_path)
    marker_of(run).touch()
    assert "marked-not-proven" in found_by(backhaul("doctor", "--offline", run, "--json"))
    assert backhaul.sync(run, "-p", "marked").exit_code == 0
    assert "marked-not-proven" not in found_by(backhaul("doctor", "--offline", run, "--json"))


def test_a_killed_run_that_is_home_is_no_finding_any_more(backhaul: Backhaul, tmp_path: Path) -> None:
    """How it ended keeps nothing back, and a sync has nothing to do."""
    run = copy_of("0.31.0-killed", tmp_path)
    assert backhaul.sync(run, "-p", "killed").exit_code == 0
    done = backhaul("doctor", "--offline", run, "--json")
    assert (done.exit_code, {finding["severity"] for finding in done.document["findings"]}) == (0, {"note"})


def test_switches_that_keep_runs_offline_or_lead_elsewhere_are_told(backhaul: Backhaul, tmp_path: Path) -> None:
    """What `wandb offline` leaves in the workspace, and a settings file that names another server than the user's."""
    run = copy_of("0.18.7", tmp_path)
    subprocess.run(
        [sys.executable, "-m", "wandb", "offline"], cwd=tmp_path, env=backhaul.env, check=True, capture_output=True
    )
    Path(backhaul.env["WANDB_CONFIG_DIR"], "settings").write_text("[default]\nbase_url = https://wandb.example.org\n")
    found = found_by(
        backhaul.with_env(WANDB_BASE_URL="https://other.example.org")("doctor", "--offline", run, "--json")
    )
    assert set(found) == {"offline-switch", "other-host"}
    assert "mode = offline" in found["offline-switch"]["evidence"]
    assert "https://other.example.org" in found["other-host"]["message"]


def test_pins_that_differ_and_removed_options_are_told(backhaul: Backhaul, tmp_path: Path) -> None:
    """A requirements file that asks for another wandb, and a script whose `wandb sync` would end in an error."""
    run = copy_of("0.18.7", tmp_path)
    (tmp_path / "requirements.txt").write_text("numpy==1.0\nwandb==0.16.6\n")
    (tmp_path / "upload.sh").write_text("# wandb sync --legacy\nwandb sync --sync-all wandb/\nwandb sync --dry-run\n")
    called = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", "--sync-all", str(run)],
        env=backhaul.env, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert called.returncode != 0
    found = found_by(backhaul("doctor", "--offline", run, "--json"))
    assert set(found) == {"sdk-differs", "removed-option"}
    assert found["sdk-differs"]["remedy"] == "pip install wandb==0.16.6"
    assert found["removed-option"]["evidence"].endswith("upload.sh: wandb sync --sync-all wandb/")
    assert found["removed-option"]["remedy"] == "backhaul sync wandb/"


def test_what_the_official_client_told_its_log_only_is_translated(backhaul: Backhaul, tmp_path: Path) -> None:
    """An artifact whose content is gone: wandb sync says that all is done, its debug log has the reason."""
    script = """
        import wandb
        run = wandb.init(project="doctor", id="told")
        artifact = wandb.Artifact("weights", "model")
        with artifact.new_file("w.txt") as file:
            file.write("weights")
        run.log_artifact(artifact)
        run.finish()
    """
    (run,) = record(script, tmp_path, backhaul.env)
    for content in Path(backhaul.env["WANDB_DATA_DIR"]).rglob("artifacts/staging/*"):
        content.unlink()
    synced = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", "--yes", str(run)],
        env=backhaul.env | {"WANDB_DIR": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert synced.returncode == 0, synced.stderr
    found = backhaul("doctor", "--offline", run, "--json").document["findings"]
    translated = [finding for finding in found if finding["code"] == "client-log"]
    assert any("not where the log says" in finding["message"] for finding in translated), found
    assert "payload-missing" in {finding["code"] for finding in found}


def test_a_full_file_system_is_told_with_what_is_left(backhaul: Backhaul, tmp_path: Path) -> None:
    """A real file system of two megabytes, nine tenths of it used."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    try:
        run = copy_of("0.18.7", disk)
        (disk / "large").write_bytes(bytes(1_800_000))
        found = found_by(backhaul("doctor", "--offline", run, "--json"))
    finally:
        subprocess.run(["umount", disk], check=True)
    assert "full" in found["disk-filling"]["message"]
    assert "0.0 GiB are free" in found["disk-filling"]["message"]


def _rewritten(run: Path, old: bytes, new: bytes) -> None:
    """The log with other bytes in one record, whole and valid."""
    log = log_of(run)
    records = [data for batch in LogReader(log).batches() for data in batch.datas]
    with log.open("wb") as file:
        writer = LogWriter(file)
        for record in records:
            writer.write(record.replace(old, new))


def test_what_no_server_takes_is_found_before_it_is_sent(backhaul: Backhaul, tmp_path: Path) -> None:
    """A name with a backslash, a file of more than 5 GiB, a value that is no JSON, an original that changed after."""
    name, large, row, changed = (copy_of(each, tmp_path) for each in ("0.21.4", "0.22.3", "0.31.0", "0.24.2"))
    _rewritten(name, b"weights.bin", b"weig\\ts.bin")
    os.truncate(large / "files" / "weights.bin", (5 << 30) + 1)
    _rewritten(row, b"0.0625", b"0,0625")
    original = tmp_path / "weights.bin"
    (changed / "files" / "weights.bin").rename(original)
    (changed / "files" / "weights.bin").symlink_to(original)
    original.write_bytes(b"trained on")
    os.utime(original, (time.time(), log_of(changed).stat().st_mtime + 3600))
    found = found_by(backhaul("doctor", "--offline", tmp_path, "--json"))
    assert set(found) == {"payload-name", "payload-too-large", "row-refused", "payload-changed"}
    assert "backslashes" in found["payload-name"]["message"]
    assert str((5 << 30) + 1) in found["payload-too-large"]["evidence"]
    assert "it is not JSON" in found["row-refused"]["evidence"]
    assert str(original) in found["payload-changed"]["evidence"]


_QUOTA = """#!/bin/sh
echo "Disk quotas for user ada (uid 1000): "
echo "     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace"
echo "{mount}  950000*  900000 1000000  1764000000    120       0   100000       0"
"""


def test_the_client_s_note_the_quota_and_a_disk_that_fills_are_told(backhaul: Backhaul, tmp_path: Path) -> None:
    """A `.syncstate` that goes on somewhere; what `quota` prints; a run whose growth leaves hours of space."""
    disk, tools = tmp_path / "disk", tmp_path / "tools"
    disk.mkdir()
    tools.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk], check=True)
    try:
        run = copy_of("0.28.2-killed", disk)
        (run / "files" / "growing").write_bytes(bytes(4 << 20))
        begun = time.time() - 7200
        for path in (run / "files", run / "files" / "requirements.txt"):
            os.utime(path, (begun, begun))
        log_of(run).with_name(log_of(run).name + ".syncstate").write_text('{"starting_step": 40}')
        (tools / "quota").write_text(_QUOTA.format(mount=disk))
        (tools / "quota").chmod(0o755)
        doctor = backhaul.with_env(PATH=f"{tools}{os.pathsep}{backhaul.env['PATH']}")
        with log_of(run).open("ab"):
            found = doctor("doctor", "--offline", disk, "--json").document["findings"]
    finally:
        subprocess.run(["umount", disk], check=True)
    told = [finding["message"] for finding in found if finding["code"] == "disk-filling"]
    assert any("quota of space is used to 106%" in message for message in told), told
    assert any("full in 7." in message or "full in 8." in message for message in told), told
    (note,) = (finding for finding in found if finding["code"] == "client-state")
    assert '{"starting_step": 40}' in note["evidence"]


def test_a_deed_for_many_runs_is_told_once_and_fits_a_narrow_terminal(backhaul: Backhaul, tmp_path: Path) -> None:
    """The worst first, each deed with all that it mends; a terminal folds sentences, but no command and no path."""
    torn = [copy_of(name, tmp_path) for name in ("0.31.0-killed", "0.22.3-killed")]
    copy_of("empty", tmp_path)
    done = backhaul("doctor", "--offline", tmp_path)
    assert done.stdout.startswith("3 runs: 2 ready, 1 damaged but repairable\n")
    assert "\x1b" not in done.stdout
    repair, sync = done.stdout.index("▸ backhaul repair"), done.stdout.index(f"▸ backhaul sync {tmp_path}/wandb\n")
    assert repair < sync < done.stdout.index("log-torn ×2") < done.stdout.index(str(torn[0]))
    output = io.StringIO()
    finding = Finding("log-torn", "word " * 40, "seen", f"backhaul sync {torn[0]}", str(torn[0]))
    console = Console(file=output, width=40, force_terminal=True, color_system=None, highlight=False)
    show_diagnosis(Diagnosis((Condition.READY,), (finding,)), (), None, verbose=False, console=console)
    lines = output.getvalue().splitlines()
    assert any(line.strip() == f"▸ backhaul sync {torn[0]}" for line in lines)
    assert all(len(line.rstrip()) <= 40 for line in lines if "word" in line)
