"""`backhaul show` as a process."""

from __future__ import annotations

import re
from pathlib import Path

from ..command import Backhaul, copy_of, log_of, record

_BARS = "▁▂▃▄▅▆▇█"


def _wide(backhaul: Backhaul) -> Backhaul:
    return backhaul.with_env(COLUMNS="160")


def test_show_tells_what_a_person_wants_to_know(backhaul: Backhaul, tmp_path: Path) -> None:
    """Identity, state, versions, command, config, summary, metrics with their shape, console, files."""
    run = copy_of("0.31.0", tmp_path)
    done = _wide(backhaul)("show", run)
    assert done.exit_code == 0
    for part in (
        "recorded/rec-0310", "finished", "late name", "late, täg", "a group", "a job type", "node01", "wandb 0.31.0",
        "train.py", "exit code 0", "betas", "größe", "best_epoch", "nested.b.c", "grüße, naïve ☃", "red alert",
        "weights.bin", "1.2 KiB", "21 rows", "complete",
    ):  # fmt: skip
        assert part in done.stdout, part
    metrics = done.stdout.partition("\nmetrics\n")[2]
    (loss,) = [line for line in metrics.splitlines() if line.startswith("loss ")]
    bars = "".join(character for character in loss if character in _BARS)
    # The loss fell from 1 to 0.02, as 1/(step+1) does.
    assert (len(bars), bars[0], bars[-1]) == (19, "█", "▁")
    assert re.search(r"0\.02 +0\.02 +1 +19", loss)


def test_show_tells_damage_and_missing_files_first(backhaul: Backhaul, tmp_path: Path) -> None:
    """A damaged run is shown as far as it can be read; what is missing has its place beside it."""
    run = copy_of("0.31.0-long", tmp_path)
    log = log_of(run)
    data = bytearray(log.read_bytes())
    data[40_000] ^= 0xFF
    log.write_bytes(data)
    (run / "files" / "weights.bin").unlink()
    done = _wide(backhaul)("show", run)
    assert done.exit_code == 0
    assert re.search(r"bad checksum at byte \d+, \d+ B: record \d+ lost", done.stdout)
    assert "1 record lost" in done.stdout
    files = done.stdout.partition("\nfiles\n")[2]
    assert files.startswith("weights.bin")
    assert "missing" in files.partition("\n")[0]


def test_show_fits_into_80_columns_and_cuts_no_number_and_no_path(backhaul: Backhaul, tmp_path: Path) -> None:
    """Every heading and count of the metrics is whole; the folder stands in one line, so that it can be copied."""
    run = copy_of("0.31.0", tmp_path / ("deep" * 20))
    done = backhaul.with_env(COLUMNS="80")("show", run)
    assert f"in {run}\n" in done.stdout
    table = done.stdout.partition("\nmetrics\n")[2].partition("\n\n")[0].splitlines()
    assert table[0].split() == ["metric", "last", "lowest", "highest", "values"]
    assert max(map(len, table)) <= 80
    assert any(line.endswith("NaN/inf") for line in table)
    assert all(line.split()[-1].isdigit() or line.endswith("NaN/inf") for line in table[1:])


def test_show_of_a_killed_and_of_an_empty_run(backhaul: Backhaul, tmp_path: Path) -> None:
    """How much a kill may have cost is said; a log without a record is no error."""
    killed = _wide(backhaul)("show", copy_of("0.31.0-killed", tmp_path))
    assert (killed.exit_code, "crashed" in killed.stdout, "torn" in killed.stdout) == (0, True, True)
    assert "15 seconds" in " ".join(killed.stdout.split())
    empty = _wide(backhaul)("show", copy_of("header-only", tmp_path))
    assert (empty.exit_code, "rec-header-only" in empty.stdout) == (0, True)


def test_show_lets_no_escape_sequence_of_the_run_reach_the_terminal(
    backhaul: Backhaul, sdk_env: dict[str, str], tmp_path: Path
) -> None:
    """What a job printed, or was named, cannot move the cursor or set the title of whoever looks at it."""
    script = r"""
        import wandb
        run = wandb.init(project="p", id="evil", name="\x1b]0;owned\x07name",
                         config={"k\x1b[2J": "v\x1b[1A", "b": "[red]x[/]"})
        print("\x1b[32mgreen\x1b[0m \x1b[2Jgone \x1b]0;owned\x07")
        run.log({"m\x1b[5m": 1.0})
        run.finish()
    """
    (run,) = record(script, tmp_path, sdk_env)
    done = _wide(backhaul)("show", run)
    assert done.exit_code == 0
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stdout)
    assert "[red]x[/]" in done.stdout


def test_show_of_nothing_is_wrong_usage(backhaul: Backhaul, tmp_path: Path) -> None:
    """With a next step, and exit code 2."""
    done = backhaul("show", tmp_path / "nothing")
    assert (done.exit_code, "next:" in done.stderr) == (2, True)
