"""One small, rich offline run, made by whatever wandb SDK is installed.

`record-logs` starts this file under an old interpreter with an old SDK, so it keeps to what Python 3.7 understands and
to the part of the SDK that 0.10.33 has. Everything is known before it is logged; what the log must contain is written
(to `expected.json` in the current folder) from that knowledge.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import wandb

_CONFIG: dict[str, Any] = {
    "lr": 0.001,
    "epochs": 3,
    "tiny": 1e-7,
    "dotted.key": "literal",
    "schlüssel": "größe",
    "optimizer": {"name": "adam", "betas": [0.9, 0.999], "schedule": {"kind": "cosine", "warmup": 100}},
    "layers": [64, 32],
    "resume_from": None,
    "amp": True,
}
_LATE_CONFIG = {"lr": 0.0005, "early_stop": {"patience": 7}}
_NOTES = "first line\nsecond line, with ünïcode"
_SAVED_NAME = "weights.bin"
_SAVED_DATA = bytes(range(256)) * 5
_HTML = "<!doctype html><p>loss went <b>down</b></p>"
_SET_SUMMARY = {"best_epoch": 2, "verdict": "gut ☃", "final": {"loss": 0.02, "parts": {"a": 1}}}

# Pieces as they are written, one write() each, and then what a terminal shows (colours taken away).
_STDOUT = [
    "epoch 1 of 3\n",
    "\x1b[32mgreen: all well\x1b[0m\n",
    "progress  10%\r",
    "progress  50%\r",
    "progress 100%\n",
    "grüße, naïve ☃\n",
    "done",
    "\n",
]
_STDOUT_SHOWN = ["epoch 1 of 3", "green: all well", "progress 100%", "grüße, naïve ☃", "done"]
_STDERR = ["warning: learning rate is high\n", "\x1b[31mred\x1b[0m alert\n"]
_STDERR_SHOWN = ["warning: learning rate is high", "red alert"]

_ODD_METRICS: dict[int, dict[str, Any]] = {
    3: {"nan": float("nan"), "inf": float("inf"), "minus_inf": float("-inf")},
    4: {"tiny": 1e-7, "huge": 1.5e300, "exact": 0.1, "negative": -2.5},
    5: {"int": 7, "big_int": 2**53 - 1, "minus_int": -12345678901, "zero": 0},
    6: {"text": 'grüße\n"quoted" ☃ \\', "empty": "", "flag": True},
    7: {"nested": {"a": 1, "b": {"c": 2.5, "d": "deep"}}},
    8: {"loss.total": 1.25, "validation/loss": 1.5},
    9: {"температура": 21.5, "鍵": 1},
    10: {"nothing": None},
    11: {"list": [1, 2.5, "three"]},
}


def _plain_row(step: int) -> dict[str, Any]:
    # The accuracy rises and then falls, so that its greatest value is not its last one.
    accuracy = (step if step < 12 else 20 - step) / 16.0
    return {"loss": 1.0 / (step + 1), "accuracy": accuracy, **_ODD_METRICS.get(step, {})}


def _extra_row(step: int) -> dict[str, Any]:
    """Give a row of some 250 bytes that no other step has."""
    row: dict[str, Any] = {f"extra/metric_{column:02}": step + column / 8.0 for column in range(6)}
    row["extra/text"] = hashlib.sha256(str(step).encode()).hexdigest()
    return row


class _Recording:
    """A run, and what was logged to it so far."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.rows: list[dict[str, Any]] = []
        self.files: list[dict[str, Any]] = []
        self.written: list[dict[str, str]] = []
        self.run: Any = wandb.init(
            id=arguments.id,
            project="recorded",
            name="first name",
            notes=_NOTES,
            tags=["early"],
            group="a group",
            job_type="a job type",
            config=_CONFIG,
        )
        self.run.define_metric("accuracy", summary="max")

    def log(self, step: int, metrics: dict[str, Any]) -> None:
        """Log one whole row, which gets that step by itself."""
        self.run.log(dict(metrics))
        self._note(step, metrics)

    def _note(self, step: int, metrics: dict[str, Any]) -> None:
        self.rows.append({"step": step, "metrics": _as_kept(metrics)})

    def log_rows(self) -> None:
        """Log the rows that every log has."""
        for step in range(17):
            self.log(step, _plain_row(step))
        self.run.log({"part/one": 1}, commit=False)
        self.run.log({"part/two": 2})
        self._note(17, {"part/one": 1, "part/two": 2})
        self._log_html(18)
        # An explicit step leaves a gap; the rows after it go on from there.
        self.run.log({"loss": 0.03, "jumped": True}, step=30, commit=True)
        self._note(30, {"loss": 0.03, "jumped": True})
        self.log(31, {"loss": 0.02, "jumped": False})

    def _log_html(self, step: int) -> None:
        page = Path("report.html")
        page.write_text(_HTML, encoding="utf-8")
        with page.open(encoding="utf-8") as stream:
            self.run.log({"report": wandb.Html(stream, inject=False)})
        digest = hashlib.sha256(_HTML.encode()).hexdigest()
        path = f"media/html/report_{step}_{digest[:20]}.html"
        report = {"_type": "html-file", "path": path, "sha256": digest, "size": len(_HTML)}
        self._note(step, {"report": report})
        self.files.append(_file(path, _HTML.encode()))

    def log_more(self, count: int) -> None:
        """Log that many more rows."""
        first = self.rows[-1]["step"] + 1
        for step in range(first, first + count):
            self.log(step, _extra_row(step))

    def log_until_on_disk(self, size: int) -> None:
        """Log rows until the log has that many bytes on disk."""
        log = Path(self.run.dir).parent / f"run-{self.run.id}.wandb"
        while not log.exists() or log.stat().st_size < size:
            self.log_more(1)
            # The SDK's own process comes after; at full speed the log would be far beyond the size when it shows.
            time.sleep(0.01)

    def print_lines(self) -> None:
        """Write to stdout and stderr, piece by piece."""
        for name, stream, pieces in (("stdout", sys.stdout, _STDOUT), ("stderr", sys.stderr, _STDERR)):
            for piece in pieces:
                stream.write(piece)
                stream.flush()
                self.written.append({"stream": name, "text": piece})

    def save_file(self) -> None:
        """Save a file of the project."""
        Path(_SAVED_NAME).write_bytes(_SAVED_DATA)
        self.files.append(_file(_SAVED_NAME, _SAVED_DATA))
        self.run.save(_SAVED_NAME, policy="now")

    def change_late(self) -> None:
        """Change what init had said."""
        self.run.name = "late name"
        self.run.tags = ("late", "täg")
        self.run.config.update(_LATE_CONFIG, allow_val_change=True)

    def set_summary(self) -> None:
        """Set summary values beside those that follow from the rows."""
        for key, value in _SET_SUMMARY.items():
            self.run.summary[key] = value

    def write_expected(self, ended: bool) -> None:
        """Write what the log must contain: whole or not at all, because the caller waits for the file's name."""
        part = Path("expected.json.part")
        text = json.dumps(self._expected(ended), ensure_ascii=False, indent=1, sort_keys=True)
        part.write_text(text + "\n", encoding="utf-8")
        part.rename("expected.json")

    def _expected(self, ended: bool) -> dict[str, Any]:
        engine = "go" if self.arguments.core or _version() >= (0, 18) else "python"
        return {
            "sdk": wandb.__version__,
            "engine": engine,
            "run_id": self.arguments.id,
            "project": "recorded",
            "name": "late name",
            "notes": _NOTES,
            "tags": ["late", "täg"],
            "group": "a group",
            "job_type": "a job type",
            "host": "node01",
            "config": {**_CONFIG, **_LATE_CONFIG},
            "rows": self.rows,
            "row_count": len(self.rows),
            "files": self.files,
            "console": {"written": self.written, "stdout": _STDOUT_SHOWN, "stderr": _STDERR_SHOWN},
            "summary": _summary(self.rows, engine) if ended else None,
            "exit_code": self.arguments.exit_code if ended else None,
            "ended": ended,
        }


def _file(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "md5": hashlib.md5(data).hexdigest(), "size": len(data)}


def _as_kept(metrics: dict[str, Any]) -> dict[str, Any]:
    """Give the metrics as the SDK takes them in: before 0.15 it makes an empty list of an empty text.

    Seen in the logs of 0.10.33, 0.12.21 and 0.13.11, not from 0.15.12 on.
    """
    return {key: [] if value == "" and _version() < (0, 15) else value for key, value in metrics.items()}


def _summary(rows: list[dict[str, Any]], engine: str) -> dict[str, Any]:
    """Give what the run's summary must hold: the last value of each key, the greatest accuracy, and what was set."""
    values: dict[str, Any] = {}
    for row in rows:
        values.update({key: value for key, value in row["metrics"].items() if _is_summarised(value, engine)})
    values["accuracy"] = {"max": max(row["metrics"].get("accuracy", 0) for row in rows)}
    return {**values, **_SET_SUMMARY}


def _is_summarised(value: Any, engine: str) -> bool:
    """Tell whether the SDK takes a row's value into the summary by itself.

    The Python engine takes no dicts but media once any metric is defined (its handler.py); the Go engine takes no null,
    as seen from 0.18.7 on, not yet in 0.17.5.
    """
    if engine == "python":
        return not isinstance(value, dict) or "_type" in value
    return value is not None or _version() < (0, 18)


def _version() -> tuple[int, ...]:
    return tuple(int(part) for part in wandb.__version__.split(".")[:2])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--id", required=True)
    parser.add_argument("--extra-rows", type=int, default=0)
    parser.add_argument("--exit-code", type=int, default=0)
    parser.add_argument("--killed-at", type=int, metavar="SIZE", help="when the log has that size, wait to be killed")
    parser.add_argument("--core", action="store_true", help="use the Go engine where it was not yet the default")
    return parser.parse_args()


def main() -> None:
    """Record one run."""
    arguments = _arguments()
    if arguments.core:
        wandb.require("core")
    recording = _Recording(arguments)
    recording.save_file()
    recording.log_rows()
    recording.print_lines()
    recording.change_late()
    recording.log_more(arguments.extra_rows)
    if arguments.killed_at:
        recording.log_until_on_disk(arguments.killed_at)
        # These are lost, or some of them: they are still in memory when the run is killed.
        recording.log_more(20)
        recording.write_expected(ended=False)
        while True:
            signal.pause()
    recording.set_summary()
    # System metrics are sampled by the clock, and nothing in these SDKs says when the first sample is in.
    time.sleep(2)
    recording.run.finish(exit_code=arguments.exit_code)
    recording.write_expected(ended=True)


if __name__ == "__main__":
    main()
