"""Repaired copies of runs are found when they are named, and never beside the original."""

from __future__ import annotations

from pathlib import Path

from backhaul.runs.find import find_runs


def _made(folder: Path, name: str) -> Path:
    run = folder / name
    run.mkdir(parents=True)
    (run / "run-abc.wandb").touch()
    return run


def test_a_repaired_copy_is_taken_only_when_it_is_named(tmp_path: Path) -> None:
    """From above only the original is found; `repaired` itself, or the copy in it, is found when asked for."""
    original = _made(tmp_path / "wandb", "offline-run-20260101_000000-abc")
    copy = _made(tmp_path / "wandb" / "repaired", "offline-repaired-20260101_000000-abc")

    def found(path: Path) -> list[Path]:
        return [run.path for run in find_runs([path], env={}, cwd=tmp_path)]

    assert found(tmp_path) == [original]
    assert found(tmp_path / "wandb") == [original]
    assert found(tmp_path / "wandb" / "repaired") == [copy]
    assert found(copy) == [copy]
