"""The SDK releases that logs are recorded with, and a virtual environment for each."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class Failed(Exception):
    """Something could not be made or is not as it must be."""


@dataclass(frozen=True)
class _Sdk:
    """A release: the Pythons that it runs on, best first, and what must be held back for it."""

    pythons: tuple[str, ...]
    pins: tuple[str, ...] = ()


# These ask for setuptools without a bound, if at all, and import pkg_resources, which setuptools 82 no longer has.
_PKG_RESOURCES = "setuptools<82"
# 0.10 and 0.12 carry code generated for protobuf 3, which protobuf 4 refuses at import. 0.12.21 asks for <4
# itself; 0.10.33 sets no bound.
_OLD = _Sdk(("3.8", "3.9", "3.7"), (_PKG_RESOURCES, "protobuf<4"))
_MIDDLE = _Sdk(("3.9", "3.10", "3.8"), (_PKG_RESOURCES,))
_LATE = _Sdk(("3.10", "3.11", "3.9"))
_NEW = _Sdk(("3.12", "3.11", "3.13"))

SDKS: Mapping[str, _Sdk] = {
    "0.10.33": _OLD,
    "0.12.21": _OLD,
    "0.13.11": _MIDDLE,
    "0.15.12": _MIDDLE,
    "0.16.6": _LATE,
    "0.17.5": _LATE,
    "0.17.9": _LATE,
    "0.18.7": _LATE,
    "0.19.11": _Sdk(("3.11", "3.10", "3.12")),
    "0.21.4": _NEW,
    "0.22.3": _NEW,
    "0.24.2": _NEW,
    "0.28.2": _NEW,
    "0.31.0": _Sdk(("3.13", "3.12", "3.11")),
}

# The name of this machine's kernel is none of a log's business.
_NEUTRAL_PLATFORM = "import platform\nplatform.platform = lambda *_, **__: 'Linux-5.15.0-x86_64-with-glibc2.31'\n"


def environment(sdk: str, folder: Path, named: Mapping[str, str]) -> Path:
    """Give the interpreter of an environment in `folder` that has the SDK; it is made when it is not there whole.

    `named` maps a Python version, such as "3.8", to the interpreter to use for it.
    Raises Failed when no fitting Python is found, or the installation fails.
    """
    ready = folder / "ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _make(sdk, folder, _interpreter(SDKS[sdk].pythons, named))
        ready.touch()
    return folder / "bin" / "python"


def call(command: Sequence[str]) -> str:
    """Run a command to its end and give what it printed; raises Failed, with all of its output, when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _make(sdk: str, folder: Path, base: str) -> None:
    print(f"{sdk}: environment with {base}", flush=True)
    call([base, "-m", "venv", str(folder)])
    call([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *SDKS[sdk].pins, f"wandb=={sdk}"])
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "sitecustomize.py").write_text(_NEUTRAL_PLATFORM)


def _interpreter(versions: tuple[str, ...], named: Mapping[str, str]) -> str:
    for version in versions:
        for candidate in _candidates(version, named):
            if _is_python(candidate, version):
                return candidate
    raise Failed(f"none of Python {', '.join(versions)} was found; name one: --python {versions[0]}=PATH")


def _candidates(version: str, named: Mapping[str, str]) -> list[str]:
    if version in named:
        return [named[version]]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [f"python{version}", *sorted(str(path) for path in pyenv.glob(f"versions/{version}.*/bin/python"))]


def _is_python(candidate: str, version: str) -> bool:
    """Tell whether the candidate starts: a name on PATH may be a shim without an interpreter behind it."""
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.returncode == 0 and answer.stdout.strip() == version
