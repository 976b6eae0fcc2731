"""A large content over a line that is cut: only what is missing goes again, and the whole is what was recorded."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from pathlib import Path

from ..command import Backhaul, record
from ..fault_proxy import FaultProxy, Seen, reset, when

_MIB = 1 << 20
_RUN = """
    import random, wandb
    run = wandb.init(project="p", id="large")
    artifact = wandb.Artifact("checkpoint", "model")
    with artifact.new_file("weights.bin", mode="wb") as file:
        file.write(random.Random(7).randbytes(40 << 20))
    run.log_artifact(artifact)
    run.finish()
"""
_READ = """
import hashlib, sys, wandb
path = wandb.Api().artifact(sys.argv[1]).get_entry("weights.bin").download(sys.argv[2])
print(hashlib.sha256(open(path, "rb").read()).hexdigest())
"""


def test_after_a_cut_only_the_missing_parts_go_again(
    backhaul: Backhaul, sdk_env: dict[str, str], proxy: FaultProxy, project: str, tmp_path: Path
) -> None:
    """Whole at first; then in parts, of which the last is cut. Killed then, the next sync sends that one alone."""
    (run,) = record(_RUN, tmp_path / "work", sdk_env)
    (content,) = [path for path in Path(sdk_env["WANDB_DATA_DIR"]).rglob("*") if path.is_file()]
    whole, last = 40 * _MIB, 8 * _MIB
    reached_the_last = threading.Event()

    def is_cut(seen: Seen) -> bool:
        if len(seen.body) == last:
            reached_the_last.set()
        return len(seen.body) in (whole, last)

    proxy.always("put", when(is_cut, reset))
    first = backhaul.to(proxy.url).start("sync", run, "-p", project)
    assert reached_the_last.wait(120)
    first.kill()
    first.communicate()
    assert _large(proxy)[:4] == [whole, 16 * _MIB, 16 * _MIB, last]

    proxy.heal()
    before = len(_large(proxy))
    second = backhaul.to(proxy.url).sync(run, "-p", project, timeout=120)
    assert (second.exit_code, second.only["artifacts"]) == (0, {"local": 1, "remote": 1})
    assert _large(proxy)[before:] == [last]

    line = [sys.executable, "-c", _READ, f"{project}/checkpoint:latest", str(tmp_path / "read")]
    read = subprocess.run(line, env=sdk_env, capture_output=True, text=True, timeout=120, check=True)
    assert read.stdout.split()[-1] == hashlib.sha256(content.read_bytes()).hexdigest()


def _large(proxy: FaultProxy) -> list[int]:
    """The sizes of the large bodies that were sent, in order."""
    return [len(seen.body) for seen in proxy.of("put") if len(seen.body) >= _MIB]
