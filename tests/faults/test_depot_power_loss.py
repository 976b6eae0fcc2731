"""Power loss, by the order in which the depot's system calls reach the kernel.

What lies in memory only is lost with the power: bytes that were written and not flushed, and names in a folder that
was not flushed. So an answer of 200 may leave only when there is neither under the data folder.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..depot_client import Client
from ..depot_load import Writer

_CALLS = "openat,mkdir,rename,link,write,pwrite64,writev,ftruncate,fsync,fdatasync,sendto"
_LINE = re.compile(r"(?P<pid>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\()(?P<rest>.*)")
_OF_A_FILE = re.compile(r"\d+<(?P<path>/[^>]*)>")
_NAMED = re.compile(r'"(?P<path>/[^"]*)"')

_NEEDS_NO_FLUSH = re.compile(r"-shm$|/lock$|/address$|/incoming/[0-9a-f]+$|/\.[a-z-]+\.[0-9a-f]+$")
"""SQLite makes its index of the log anew; the lock and the address are of one process; drafts count once renamed."""


_BY_ITSELF = """
from backhaul.cli import main
from backhaul.depot import sweep
from backhaul.depot.digester import Digester
Digester._work = lambda self: None
sweep._TICK = 86400.0
main()
"""
"""What the digester writes is made again from the lines when it is lost; what the sweep removes goes another time. They
write whenever they like, and an answer that leaves meanwhile would look as if it had not waited for its own bytes."""


@dataclass
class Memory:
    """What would be lost with the power now, and what would have been lost when an answer of 200 left."""

    data: Path
    bytes: set[str] = field(default_factory=set)
    names: dict[str, set[str]] = field(default_factory=dict)
    """By folder, the entries that were made and not flushed."""
    answers: int = 0
    flushes: int = 0
    lost: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def begins(self, call: str, rest: str) -> None:
        """A call is made: what it changes may be in memory from now on."""
        paths = [found["path"] for found in _OF_A_FILE.finditer(rest)]
        named = [found["path"] for found in _NAMED.finditer(rest)]
        if call == "sendto" and '"HTTP/1.1 200' in rest:
            self.answers += 1
            self.lost += [*self.bytes, *(entry for entries in self.names.values() for entry in entries)]
        elif call in ("write", "pwrite64", "writev", "ftruncate") and paths and self._is_data(paths[0]):
            self.bytes.add(paths[0])
        elif call == "rename":
            if named[0] in self.bytes:
                self.bytes.add(named[1])
            self._name(named[1])
        elif call in ("link", "mkdir") or (call == "openat" and "O_CREAT" in rest):
            self._name(named[-1])

    def ends(self, call: str, rest: str) -> None:
        """A call has returned: what was flushed is safe."""
        if call in ("fsync", "fdatasync"):
            (path,) = (found["path"] for found in _OF_A_FILE.finditer(rest))
            self.bytes.discard(path)
            self.names.pop(path, None)
            self.flushes += 1

    def _is_data(self, path: str) -> bool:
        return path.startswith(str(self.data)) and not path.endswith(("-shm", "/address", "/lock"))

    def _name(self, path: str) -> None:
        if path not in self._seen and path.startswith(str(self.data)) and not _NEEDS_NO_FLUSH.search(path):
            self._seen.add(path)
            self.names.setdefault(str(Path(path).parent), set()).add(path)


def _read(trace: Path, data: Path) -> Memory:
    """The trace of strace, in the order in which the kernel saw the calls."""
    memory = Memory(data)
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        if found["call"]:
            memory.begins(found["call"], found["rest"])
            begun[found["pid"]] = found["rest"]
        if not found["rest"].endswith("<unfinished ...>"):
            memory.ends(found["call"] or found["resumed"], begun.pop(found["pid"]))
    return memory


@contextmanager
def _traced_depot(trace: Path, data: Path) -> Iterator[Client]:
    strace = shutil.which("strace")
    assert strace, "scripts/system-packages installs it"
    line = [strace, "-f", "-y", "-s", "20", "-e", f"trace={_CALLS}", "-e", "signal=none", "-o", str(trace)]
    line += [sys.executable, "-c", _BY_ITSELF, "depot", "--port", "0", "--entity", "tester", "--data", str(data)]
    with subprocess.Popen(
        [*line, "--with-parent"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        yield Client(url, (data / "api-key").read_text().strip())
        process.communicate(timeout=120)  # closes its standard input, by which it ends


def test_an_answer_leaves_when_nothing_is_in_memory_only(tmp_path: Path) -> None:
    """From the first start on: lines, files, edits, artifacts, deletions, one after the other."""
    data, trace = tmp_path / "depot", tmp_path / "trace"
    writer = Writer(seed=3, number=0)
    with _traced_depot(trace, data) as client:
        for request in writer.requests(60):
            request.send(client)
            request.effect(writer.record)
        writer.check(client)
    memory = _read(trace, data)
    assert sorted(set(memory.lost)) == []
    assert memory.answers > 100
    assert memory.flushes > 60
    kept = writer.record
    assert all((kept.lines["history"], kept.files, kept.versions, json.loads(kept.config)))
