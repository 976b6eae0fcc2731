"""One archive with our wheel and all that it needs, for one Python on one kind of machine."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.markers import default_environment

from shipping.dist import SUMS, build, epoch_of, write_sums
from shipping.sbom import bill_of_materials
from shipping.wheel_metadata import Wheel, missing

_NAME = "backhaul"
LOCK = "requirements.txt"
BILL = "sbom.cdx.json"
_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"

_INSTALL = """\
#!/bin/sh
# Installs Backhaul from this folder into a new virtual environment, without a network:  ./install DIRECTORY
# PYTHON=… chooses the interpreter.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 1 ] || { echo "usage: $0 DIRECTORY" >&2; exit 2; }
python=${PYTHON:-python@PYTHON@}
command -v "$python" >/dev/null || python=python3
found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$found" = "@PYTHON@" ] || {
  echo "These wheels are for Python @PYTHON@, and $python is $found. Name another with PYTHON=…" >&2
  exit 1
}
(cd "$here" && sha256sum --check --quiet SHA256SUMS)
"$python" -m venv "$1"
"$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-index --no-deps \\
  --require-hashes --only-binary :all: --find-links "$here/wheels" --requirement "$here/requirements.txt"
"$1/bin/backhaul" --version
"""
_README = """\
Backhaul @VERSION@ with all that it needs@EXTRAS@, for Python @PYTHON@ on @PLATFORM@.

  ./install /opt/backhaul         makes a virtual environment there; needs no network
  /opt/backhaul/bin/backhaul sync PATH

SHA256SUMS        checksums of all files; ./install looks at them first. Compare its own with what you were told.
requirements.txt  every package with version and checksum; `scripts/wheelhouse --lock` builds the same again
sbom.cdx.json     bill of materials, CycloneDX 1.6: names, versions, licences, checksums
wheels/           the packages
"""


def main() -> int:
    """The command."""
    options = _options()
    root, out = Path.cwd(), options.folder.absolute()
    out.mkdir(parents=True, exist_ok=True)
    extras = frozenset(options.extra)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "wheelhouse")
        (folder / "wheels").mkdir(parents=True)
        ours = build(root, Path(scratch, "dist")).wheel
        try:
            _gather(ours, folder / "wheels", extras, options)
        except subprocess.CalledProcessError:
            print("The packages could not be fetched; nothing was written.", file=sys.stderr)
            return 1
        wheels = [Wheel.of(path) for path in sorted((folder / "wheels").iterdir())]
        if absent := missing(_NAME, wheels, _environment(options.python), extras):
            print(f"What Python {options.python} needs is not there: {', '.join(absent)}.", file=sys.stderr)
            return 1
        _tell(folder, wheels, extras, options, int(epoch_of(root)))
        platform = options.platform[0] if options.platform else _this_platform()
        (version,) = [wheel.version for wheel in wheels if wheel.name == _NAME]
        name = f"{_NAME}-{version}-py{options.python}-{platform}"
        archive = out / f"{name}.tar"
        _pack(folder, archive, name, int(epoch_of(root)))
    print(archive)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/wheelhouse", description=__doc__)
    parser.add_argument("--extra", action="append", default=[], help="export, postgres, s3, demo: may be given again")
    parser.add_argument("--python", default=_HERE, help=f"such as 3.12; by default the one that runs this, {_HERE}")
    parser.add_argument(
        "--platform", action="append", default=[], help="such as manylinux_2_28_x86_64: by default this"
    )
    parser.add_argument("--lock", type=Path, help="the requirements.txt of an earlier archive: the same packages again")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("dist"), help="where the archive is written")
    return parser.parse_args()


def _gather(ours: Path, into: Path, extras: frozenset[str], options: argparse.Namespace) -> None:
    """Fetch every wheel that is needed, and put ours beside them."""
    (into / ours.name).write_bytes(ours.read_bytes())
    wanted = [f"{ours}[{','.join(sorted(extras))}]" if extras else str(ours)]
    if options.lock is not None:
        # Ours is built here and now; the others are to be those of then, to the last byte.
        rest = [line for line in options.lock.read_text().splitlines() if not line.startswith(f"{_NAME}==")]
        (lock := into.parent / LOCK).write_text("\n".join(rest))
        wanted = ["--no-deps", "--require-hashes", "--requirement", str(lock)]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
    ]
    command += ["--dest", str(into), "--python-version", options.python]
    command += [word for platform in options.platform for word in ("--platform", platform)]
    subprocess.run([*command, *wanted], check=True, stdout=sys.stderr)


def _tell(
    folder: Path, wheels: Sequence[Wheel], extras: frozenset[str], options: argparse.Namespace, epoch: int
) -> None:
    """Write the texts beside the wheels: what is in there, checked and checkable."""
    lines = [f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels]
    (folder / LOCK).write_text("".join(lines))
    (folder / BILL).write_text(bill_of_materials(_NAME, wheels, _environment(options.python), extras, epoch))
    words = {
        "VERSION": next(wheel.version for wheel in wheels if wheel.name == _NAME),
        "EXTRAS": f" and for the extras {', '.join(sorted(extras))}" if extras else "",
        "PYTHON": options.python,
        "PLATFORM": ", ".join(options.platform) or _this_platform(),
    }
    for name, text in (("install", _INSTALL), ("README.txt", _README)):
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        (folder / name).write_text(text)
    (folder / "install").chmod(0o755)
    write_sums(folder, tuple(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS))


def _environment(python: str) -> dict[str, str]:
    """What markers of requirements are evaluated with: this machine, with another Python."""
    here = {name: str(value) for name, value in default_environment().items()}
    return here | {"python_version": python, "python_full_version": f"{python}.0"}


def _this_platform() -> str:
    uname = os.uname()
    return f"{uname.sysname.lower()}_{uname.machine}"


def _pack(folder: Path, archive: Path, name: str, epoch: int) -> None:
    """Put the folder into an archive: the same bytes for the same files. The wheels are packed already."""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = tarfile.TarInfo(f"{name}/{path.relative_to(folder)}")
            content = path.read_bytes()
            member.size, member.mtime = len(content), epoch
            member.mode = 0o755 if path.name == "install" else 0o644
            tar.addfile(member, io.BytesIO(content))


if __name__ == "__main__":
    sys.exit(main())
