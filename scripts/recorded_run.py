"""One small, rich offline run, made by whatever wandb SDK is installed.

`record-logs` starts this file under an old interpreter with an old SDK, so it keeps to Python 3.6 syntax and to the part of
the SDK that 0.10.33 has. It knows everything before it logs it; what the log must contain is written from that knowledge.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
import time

import wandb

_CONFIG = {
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


def _plain_rows():
    """Give the rows that go by their own step, 0 to 16."""
    odd = {
        3: {"nan": float("nan"), "inf": float("inf"), "minus_inf": float("-inf")},
        4: {"tiny": 1e-7, "huge": 1.5e300, "exact": 0.1, "negative": -2.5},
        5: {"int": 7, "big_int": 2**53 - 1, "minus_int": -12345678901, "zero": 0},
        6: {"text": "grüße\n\"quoted\" ☃ \\", "empty": "", "flag": True},
        7: {"nested": {"a": 1, "b": {"c": 2.5, "d": "deep"}}},
        8: {"loss.total": 1.25, "validation/loss": 1.5},
        9: {"температура": 21.5, "鍵": 1},
        10: {"nothing": None},
        11: {"list": [1, 2.5, "three"]},
    }
    return [dict({"loss": 1.0 / (step + 1), "accuracy": _accuracy(step)}, **odd.get(step, {})) for step in range(17)]


def _as_kept(metrics):
    """Give the metrics as the SDK takes them in: before 0.15 it makes an empty list of an empty text.

    Seen in the logs of 0.10.33, 0.12.21 and 0.13.11, not from 0.15.12 on.
    """
    return {key: [] if value == "" and _version() < (0, 15) else value for key, value in metrics.items()}


def _accuracy(step):
    """Rise and then fall, so that the greatest value is not the last one."""
    return (step if step < 12 else 20 - step) / 16.0


def _extra_row(step):
    """Give a row of some 250 bytes that no other step has."""
    row = {"extra/metric_%02d" % column: step + column / 8.0 for column in range(6)}
    row["extra/text"] = hashlib.sha256(str(step).encode()).hexdigest()
    return row


class Recording:
    """What is logged, and what was logged."""

    def __init__(self, run, arguments):
        self.run = run
        self.arguments = arguments
        self.rows = []
        self.files = []
        self.written = []

    def log(self, step, metrics):
        """Log one whole row, which gets that step, and remember it."""
        self.run.log(dict(metrics))
        self.rows.append({"step": step, "metrics": _as_kept(metrics)})

    def log_rows(self):
        """Log the rows that every log has."""
        for step, metrics in enumerate(_plain_rows()):
            self.log(step, metrics)
        self._log_in_two_parts(17)
        self._log_html(18)
        # An explicit step leaves a gap; the rows after it go on from there.
        self.run.log({"loss": 0.03, "jumped": True}, step=30, commit=True)
        self.rows.append({"step": 30, "metrics": {"loss": 0.03, "jumped": True}})
        self.log(31, {"loss": 0.02, "jumped": False})

    def log_more(self, count):
        """Log that many more rows."""
        first = self.rows[-1]["step"] + 1
        for step in range(first, first + count):
            self.log(step, _extra_row(step))

    def log_until_on_disk(self, size):
        """Log rows until the log has that many bytes on disk."""
        while not os.path.exists(log_path(self.run)) or os.path.getsize(log_path(self.run)) < size:
            self.log_more(1)

    def _log_in_two_parts(self, step):
        self.run.log({"part/one": 1}, commit=False)
        self.run.log({"part/two": 2})
        self.rows.append({"step": step, "metrics": {"part/one": 1, "part/two": 2}})

    def _log_html(self, step):
        with open("report.html", "w") as stream:
            stream.write(_HTML)
        with open("report.html") as stream:
            self.run.log({"report": wandb.Html(stream, inject=False)})
        data = _HTML.encode()
        digest = hashlib.sha256(data).hexdigest()
        path = "media/html/report_%d_%s.html" % (step, digest[:20])
        report = {"_type": "html-file", "path": path, "sha256": digest, "size": len(data)}
        self.rows.append({"step": step, "metrics": {"report": report}})
        self.files.append(_file(path, data))

    def print_lines(self):
        """Write to stdout and stderr, piece by piece."""
        for name, stream, pieces in (("stdout", sys.stdout, _STDOUT), ("stderr", sys.stderr, _STDERR)):
            for piece in pieces:
                stream.write(piece)
                stream.flush()
                self.written.append({"stream": name, "text": piece})

    def save_file(self):
        """Save a file of the project."""
        with open(_SAVED_NAME, "wb") as stream:
            stream.write(_SAVED_DATA)
        self.files.append(_file(_SAVED_NAME, _SAVED_DATA))
        self.run.save(_SAVED_NAME, policy="now")

    def change_late(self):
        """Change what init had said."""
        self.run.name = "late name"
        self.run.tags = ("late", "täg")
        self.run.config.update(_LATE_CONFIG, allow_val_change=True)

    def set_summary(self):
        """Set summary values beside those that follow from the rows."""
        for key, value in _SET_SUMMARY.items():
            self.run.summary[key] = value

    def expected(self, ended):
        """Give what the log must contain."""
        return {
            "sdk": wandb.__version__,
            "engine": _engine(self.arguments),
            "run_id": self.arguments.id,
            "project": "recorded",
            "name": "late name",
            "notes": _NOTES,
            "tags": ["late", "täg"],
            "group": "a group",
            "job_type": "a job type",
            "host": "node01",
            "config": dict(_CONFIG, **_LATE_CONFIG),
            "rows": self.rows,
            "row_count": len(self.rows),
            "files": self.files,
            "console": {"written": self.written, "stdout": _STDOUT_SHOWN, "stderr": _STDERR_SHOWN},
            "summary": _summary(self.rows, _engine(self.arguments)) if ended else None,
            "exit_code": self.arguments.exit_code if ended else None,
            "ended": ended,
        }


def _file(name, data):
    return {"name": name, "md5": hashlib.md5(data).hexdigest(), "size": len(data)}


def _summary(rows, engine):
    """Give what the run's summary must hold: the last value of each key, the greatest accuracy, and what was set."""
    values = {}
    for row in rows:
        values.update({key: value for key, value in row["metrics"].items() if _is_summarised(value, engine)})
    values["accuracy"] = {"max": max(row["metrics"].get("accuracy", 0) for row in rows)}
    return dict(values, **_SET_SUMMARY)


def _is_summarised(value, engine):
    """Tell whether the SDK takes a row's value into the summary by itself.

    The Python engine takes no dicts but media once any metric is defined (its handler.py); the Go engine takes no null, as
    seen from 0.18.7 on, not yet in 0.17.5.
    """
    if engine == "python":
        return not isinstance(value, dict) or "_type" in value
    return value is not None or _version() < (0, 18)


def _engine(arguments):
    return "go" if arguments.core or _version() >= (0, 18) else "python"


def _version():
    return tuple(int(part) for part in wandb.__version__.split(".")[:2])


def log_path(run):
    """Give the path of the run's transaction log."""
    return os.path.join(os.path.dirname(run.dir), "run-%s.wandb" % run.id)


def _start(arguments):
    return wandb.init(
        id=arguments.id,
        project="recorded",
        name="first name",
        notes=_NOTES,
        tags=["early"],
        group="a group",
        job_type="a job type",
        config=_CONFIG,
    )


def _write(document):
    # Written whole or not at all: the caller waits for this file's name.
    with open("expected.json.part", "w", encoding="utf-8") as stream:
        json.dump(document, stream, ensure_ascii=False, indent=1, sort_keys=True)
        stream.write("\n")
    os.rename("expected.json.part", "expected.json")


def main():
    """Record one run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--id", required=True)
    parser.add_argument("--extra-rows", type=int, default=0)
    parser.add_argument("--exit-code", type=int, default=0)
    parser.add_argument("--killed-at", type=int, metavar="SIZE", help="when the log has that size, wait to be killed")
    parser.add_argument("--core", action="store_true", help="use the Go engine where it was not yet the default")
    arguments = parser.parse_args()
    if arguments.core:
        wandb.require("core")
    recording = Recording(_start(arguments), arguments)
    recording.run.define_metric("accuracy", summary="max")
    recording.save_file()
    recording.log_rows()
    recording.print_lines()
    recording.change_late()
    recording.log_more(arguments.extra_rows)
    if arguments.killed_at:
        recording.log_until_on_disk(arguments.killed_at)
        _write(recording.expected(ended=False))
        while True:
            signal.pause()
    recording.set_summary()
    # System metrics are sampled by the clock, and nothing in these SDKs says when the first sample is in.
    time.sleep(2)
    recording.run.finish(exit_code=arguments.exit_code)
    _write(recording.expected(ended=True))


if __name__ == "__main__":
    main()
