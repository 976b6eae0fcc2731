"""The folder in which the suite runs: links into the checkout, and the two things that are ours."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent

# Stands where the suite looks for its tool that knows the test server, and says where the depot is.
_ADDRESS_TOOL = """\
import json, os
print(json.dumps({"base_port": os.environ["DEPOT_PORT"], "fixture_port": os.environ["DEPOT_FIXTURE_PORT"]}))
"""

# What the tests import beyond their own list: of the full list for developers only what a server's tests need
# (no TensorFlow, PyTorch, JAX, Lightning, dspy).
_EXTRA = (
    "click<8.4", "cloudpickle", "filelock", "Pillow", "polars", "matplotlib", "plotly", "bokeh", "soundfile", "tqdm",
    "tenacity", "ipython", "numpy<2.4", "scikit-learn", "pyarrow", "annotated-types", "tensorboard", "tensorboardx",
    "moviepy~=1.0", "imageio[ffmpeg]", "rdkit",
)  # fmt: skip


def environment(checkout: Path, work: Path, sdk: str | None) -> Path:
    """The interpreter of an environment with the released client and what its tests need; made when missing."""
    version = sdk or _version(checkout)
    folder = work / f"venv-{version}"
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    print(f"making an environment with wandb {version} (some minutes, once)", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    needed = checkout / "requirements" / "requirements_test.txt"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", str(needed), f"wandb[launch,sweeps]=={version}", *_EXTRA], check=True)
    (folder / "ready").touch()
    return python


def lay_out(checkout: Path, work: Path) -> Path:
    """A folder where `tests` is the checkout's and `wandb` is not: the installed release is what is tested."""
    folder = work / "tree"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tools").mkdir(parents=True)
    (folder / "plugin").mkdir()
    (folder / "tests").symlink_to(checkout / "tests", target_is_directory=True)
    (folder / "pyproject.toml").symlink_to(checkout / "pyproject.toml")
    (folder / "tools" / "local_wandb_server.py").write_text(_ADDRESS_TOOL)
    shutil.copyfile(_HERE / "reporting.py", folder / "plugin" / "depot_report.py")
    return folder


def _version(checkout: Path) -> str:
    text = (checkout / "wandb" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "([^"]+)"', text)
    if found is None or "dev" in found[1]:
        raise SystemExit("the checkout is not at a release; name one with --sdk")
    return found[1]
