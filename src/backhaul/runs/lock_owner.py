"""Whose lock a lock file is, by what is written in it, and whether that process is provably gone.

Programs write a process number into their lock files, alone or with the host's name: on two lines (`filelock`), as JSON
(ours), or as the target of a link. A number that another process has by now is told by its time of birth.
"""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

# What knows processes is loaded when there is one to look at: only file systems without locks, and the doctor, need it.
_LONGEST = 4096
# Clocks of file systems and processes differ by this much (seconds) without any of them being wrong.
_SLACK = 2.0
_WORDS = re.compile(r"[^\s:=,;]+")
_HOST = re.compile(r"[A-Za-z][A-Za-z0-9.-]*")
_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that a lock file names; what it does not say is None. `started` is in Unix seconds.

    `namespace` tells within which set of process numbers `pid` counts: a container has one of its own.
    """

    pid: int
    host: str | None = None
    started: float | None = None
    namespace: str | None = None

    @classmethod
    def me(cls) -> Self:
        """This process."""
        import psutil

        return cls(os.getpid(), socket.gethostname(), psutil.Process().create_time(), _namespace())

    @classmethod
    def named_in(cls, path: Path) -> Self | None:
        """Who made the lock file, as far as it says. Raises OSError."""
        if path.is_symlink():
            return cls._of_text(str(path.readlink()))
        with path.open("rb") as file:
            return cls._of_text(file.read(_LONGEST).decode(errors="replace"))

    @classmethod
    def _of_text(cls, text: str) -> Self | None:
        try:
            content = json.loads(text)
        except ValueError:
            content = None
        return cls._of_json(content) if isinstance(content, dict) else cls._of_words(_WORDS.findall(text))

    @classmethod
    def _of_json(cls, content: dict[str, object]) -> Self | None:
        pid, host, started = content.get("pid"), content.get("host", content.get("hostname")), content.get("started")
        if not isinstance(pid, int):
            return None
        namespace = content.get("namespace")
        return cls(
            pid,
            host if isinstance(host, str) else None,
            float(started) if isinstance(started, int | float) else None,
            namespace if isinstance(namespace, str) else None,
        )

    @classmethod
    def _of_words(cls, words: list[str]) -> Self | None:
        numbers = [int(word) for word in words if word.isdecimal()]
        names = [word for word in words if _HOST.fullmatch(word) and word.lower() not in ("pid", "host", "hostname")]
        # Two numbers, or words that are no name, are something that we do not know.
        if len(numbers) != 1 or len(names) > 1 or len(numbers) + len(names) < len(words) - 2 or not numbers[0]:
            return None
        return cls(numbers[0], names[0] if names else None)

    def text(self) -> str:
        """What stands in a lock file of ours."""
        return json.dumps(asdict(self))

    def may_be_elsewhere(self) -> bool:
        """Whether the process may run where its number says nothing here: on another host, in another container."""
        here = socket.gethostname()
        if self.namespace is not None and self.namespace != _namespace():
            return True
        if self.host is None:
            return False
        # Many hosts have that name.
        return self.host != here or here.startswith("localhost")

    def is_alive(self, made_at: float) -> bool:
        """Whether the process runs on this host; `made_at` is when the lock was made, in Unix seconds.

        A process that was born later has the same number by chance.
        """
        import psutil

        if not psutil.pid_exists(self.pid):
            return False
        try:
            born = psutil.Process(self.pid).create_time()
        except psutil.NoSuchProcess:
            # Hidden from us, or gone in this moment: then the next look tells.
            return psutil.pid_exists(self.pid)
        except psutil.Error:
            return True
        if self.started is not None:
            return abs(born - self.started) <= _SLACK
        return born <= made_at + _SLACK


def _namespace() -> str | None:
    try:
        return str(_NAMESPACE.readlink())
    except OSError:
        return None


def in_own_namespace() -> bool:
    """Whether this process is in a container that has process numbers of its own, so that others cannot be seen."""
    # The kernel's number of the first namespace (PROC_PID_INIT_INO).
    return _namespace() not in (None, "pid:[4026531836]")
