"""scripts/wheelhouse: one archive is enough where there is no network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from .conftest import ROOT, copied, tool

# Other programs do the work, on a machine that may have much else to do.
pytestmark = pytest.mark.timeout(500)

_RUN = next((ROOT / "tests" / "recorded" / "0.18.7").glob("offline-run-*"))
# May be used beside, and linked with, what is under Apache-2.0, without a duty for our users' own programs.
_COMPATIBLE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "LGPL-3.0-only", "MIT",
    "MIT-0", "MPL-2.0", "PSF-2.0", "Zlib",
}  # fmt: skip
# A page of a depot is asked for by a browser's bare minimum.
_LOOK = """
import subprocess, sys, urllib.request
depot = subprocess.Popen([sys.argv[1], "depot", "--port", "0", "--data", "depot"], stdout=subprocess.PIPE, text=True)
for line in depot.stdout:
    if "http://" in line:
        break
url = next(word for word in line.split() if word.startswith("http://"))
print(urllib.request.urlopen(url).read().decode())
depot.terminate()
depot.wait(20)
"""


_OUTSIDE = "import socket; socket.create_connection(('192.0.2.1', 443), 3)"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of this checkout, for the Python that runs this, without extras."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    done = tool("shipping.wheelhouse", folder / "out", cwd=copied(folder / "checkout"))
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is in it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (only,) = folder.iterdir()
    return only


def _cut_off(command: Sequence[object], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command where there is no network but the machine's own."""
    alone = ["unshare", "--net", "sh", "-ec", 'ip link set lo up; exec "$@"', "sh"]
    env = {"HOME": str(cwd), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHON": sys.executable}
    # What is imported is compiled then; all the rest need not be, for a test.
    env["PIP_NO_COMPILE"] = "1"
    return subprocess.run(
        [*alone, *map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, timeout=400, check=False
    )


def test_it_installs_and_works_with_the_network_cut(unpacked: Path, tmp_path: Path) -> None:
    """In a new environment that has nothing else: version, status, a sync to a depot with its proof, a page, init."""
    outside = _cut_off([sys.executable, "-c", _OUTSIDE], tmp_path)
    assert "unreachable" in outside.stderr
    done = _cut_off([unpacked / "install", tmp_path / "there"], tmp_path)
    assert done.returncode == 0, done.stderr
    backhaul = tmp_path / "there" / "bin" / "backhaul"
    version = re.search(r"backhaul-([^-]+)-py", unpacked.name)
    assert version is not None
    assert done.stdout == f"backhaul, version {version[1]}\n"
    run = Path(shutil.copytree(_RUN, tmp_path / "wandb" / _RUN.name))
    assert "1 run" in _cut_off([backhaul, "status", run], tmp_path).stdout
    done = _cut_off([backhaul, "sync", run, "--to", "depot", "--json"], tmp_path)
    assert (done.returncode, [each["state"] for each in json.loads(done.stdout)["runs"]]) == (0, ["verified"]), done
    page = _cut_off([backhaul.parent / "python", "-c", _LOOK, backhaul], tmp_path)
    assert "<html" in page.stdout, page.stderr
    assert "backhaul run" in _cut_off([backhaul, "init", "slurm"], tmp_path).stdout


def test_a_changed_file_is_not_installed(unpacked: Path, tmp_path: Path) -> None:
    """The checksums are looked at first; so is the Python."""
    hurt = Path(shutil.copytree(unpacked, tmp_path / "hurt", symlinks=True))
    with next((hurt / "wheels").glob("click-*")).open("r+b") as file:
        file.seek(99)
        file.write(b"?")
    done = _cut_off([hurt / "install", tmp_path / "there"], tmp_path)
    assert done.returncode != 0
    assert "click" in done.stdout + done.stderr
    assert not (tmp_path / "there").exists()


def test_the_bill_of_materials_tells_all_that_is_in_it(unpacked: Path) -> None:
    """Valid by its schema; every wheel with its checksum and a licence that goes with ours, and who needs whom."""
    # Here, because it makes the grammars of three dozen formats when it is imported: seconds, in each process.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (unpacked / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    sums = {line.split("/")[-1]: line[:64] for line in (unpacked / "SHA256SUMS").read_text().splitlines()}
    parts = [bill["metadata"]["component"], *bill["components"]]
    assert {part["hashes"][0]["content"] for part in parts} == {
        sums[path.name] for path in (unpacked / "wheels").iterdir()
    }
    licences = " ".join(each.get("expression") or each["license"]["id"] for part in parts for each in part["licenses"])
    assert set(re.findall(r"[\w.-]+", licences)) - {"AND", "OR", "WITH"} <= _COMPATIBLE
    needed = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    (root,) = [ref for ref in needed if ref.startswith("backhaul@")]
    assert any(ref.startswith("aiohttp@") for ref in needed[root])
    assert {ref for refs in needed.values() for ref in refs} == needed.keys() - {root}


@pytest.mark.soak
def test_the_same_again_from_its_lock(archive: Path, unpacked: Path, tmp_path: Path) -> None:
    """What was carried once can be built again to the last byte; the requirements are pinned with checksums."""
    checkout = copied(tmp_path / "checkout")
    done = tool("shipping.wheelhouse", "--lock", unpacked / "requirements.txt", tmp_path / "out", cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == archive.read_bytes()
