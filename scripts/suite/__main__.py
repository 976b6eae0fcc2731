"""Runs the tests and writes the table."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from suite import table, tree
from suite.backend import running_backend

_PARTS = ("test_core", "test_api", "test_artifacts", "test_plot.py", "test_sweep", "test_system_metrics")
_TESTS = "tests/system_tests"
# Both are about how a test double or this machine behaves, not about the server: a test that hangs ends, and one that
# leaves a socket open is not failed for it.
_OPTIONS = ("-q", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=ignore", "--timeout=90")


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="scripts/conformance", description=__doc__)
    parser.add_argument("checkout", type=Path, help="a checkout of the wandb repository, at a release's tag")
    parser.add_argument("--work", type=Path, help="keeps the environment here for the next time")
    parser.add_argument("--db", metavar="URL", help="an empty PostgreSQL database for the depot")
    parser.add_argument("--sdk", help="the release to install; by default the one that the checkout names")
    parser.add_argument("--table", type=Path, help="where the table goes (default: standard output)")
    parser.add_argument("--workers", default="2", help="how many tests run side by side")
    parser.add_argument("--every", action="store_true", help="lists each test in the table, not only those that failed")
    parser.epilog = "After -- come tests and options for pytest, instead of the usual parts."
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    return parser.parse_args(words[:end]), words[end + 1 :]


def main() -> int:
    """0 when every test that needs a server passed, 1 when one failed, 2 when nothing could be run."""
    args, rest = _arguments()
    # A job in the background inherits that SIGINT is ignored, and tests of agents would wait for it in vain.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="conformance-") as temporary:
        work = (args.work or Path(temporary)).resolve()
        python = tree.environment(args.checkout.resolve(), work, args.sdk)
        folder = tree.lay_out(args.checkout.resolve(), work)
        results = Path(temporary) / "results.jsonl"
        with running_backend(Path(temporary) / "depot", args.db) as backend:
            _run(python, folder, results, backend.environment(), args.workers, rest)
        found = table.read(results)
    if not found:
        print("no test was run", file=sys.stderr)
        return 2
    text = table.markdown(found, every=args.every)
    if args.table:
        args.table.write_text(text, encoding="utf-8")
    print(text if not args.table else table.summary(found))
    return 1 if any(each.outcome == "failed" for each in found) else 0


def _run(python: Path, folder: Path, results: Path, backend: dict[str, str], workers: str, rest: list[str]) -> None:
    """Runs pytest to its end; how each test ended is in `results`."""
    tests = rest or [f"{_TESTS}/{part}" for part in _PARTS]
    command = [str(python), "-m", "pytest", "-p", "depot_report", "-n", workers, *_OPTIONS, *tests]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PYTHON"))}
    kept["PATH"] = f"{python.parent}{os.pathsep}{kept.get('PATH', '')}"
    ours = {"PYTHONPATH": str(folder / "plugin"), "DEPOT_RESULTS": str(results), "CI": "1"}
    subprocess.run(command, cwd=folder, env=kept | backend | ours, check=False)


if __name__ == "__main__":
    sys.exit(main())
