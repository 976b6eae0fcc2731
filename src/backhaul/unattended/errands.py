"""What is done beside a job, one thing after the other: its runs are brought home, room is made on its disk."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from backhaul.unattended.choices import Choices
from backhaul.unattended.errand import Errand
from backhaul.unattended.job import JobEnd
from backhaul.unattended.order import Order, clean_command
from backhaul.unattended.ranks import rank_of
from backhaul.unattended.voice import Voice

_LONG = 900.0
# A drain that has ended before the job is begun again after so many seconds, while its time lasts.
_DRAIN_AGAIN = 5.0
# New runs are put into the queue at most so often while the job goes on.
_QUEUE_EVERY = 30.0
_QUEUE = "BACKHAUL_QUEUE"


class Errands:
    """The errand that is under way, and those that wait for it; moments are those of the monotonic clock.

    `roots` are the folders in which the job works.
    """

    def __init__(self, choices: Choices, env: Mapping[str, str], roots: Sequence[Path], voice: Voice) -> None:
        self._choices, self._env, self._roots, self._voice = choices, env, roots, voice
        self._since = time.time()
        self._seen: dict[str, None] = {}
        self._current: Errand | None = None
        self._waiting: list[Callable[[], Errand]] = []
        self._drained_until: float | None = None
        self._drain_next_at: float | None = None
        self._queued = 0
        self._queue_next_at = 0.0

    @property
    def act(self) -> bool:
        """Whether this process acts for the others of a distributed job on this host."""
        return self._choices.sync and rank_of(self._env).is_first_here

    @property
    def are_done(self) -> bool:
        """Whether none is under way, and none waits."""
        return self._current is None and not self._waiting

    # What there is to do

    def note(self, log: str) -> None:
        """The job's processes have this log open."""
        self._seen[log] = None

    def sync(self) -> None:
        """Send what is recorded so far, however long it takes."""
        if self.act:
            self._waiting.append(partial(self._start_sync, _LONG))

    def clean(self) -> None:
        """Delete what is home."""
        if self.act:
            self._waiting.append(self._start_cleaning)

    def drain(self, why: str, now: float) -> None:
        """Send what is recorded until the time is over that the user gave; once while that lasts."""
        if self._drained_until is not None and now < self._drained_until:
            return
        self._drained_until = now + self._choices.deadline
        if self.act:
            self._voice.say(f"{why}: sending what is recorded so far")
            self._drain_next_at = now

    def finish(self, now: float) -> None:
        """The job has ended: only that what it recorded goes home before the time is over is left to do."""
        if not self._seen and not rank_of(self._env).is_first_here:
            return
        until = self._drained_until
        if until is None or now >= until:
            until = now + self._choices.deadline
        self._drain_next_at = None
        self._waiting = [lambda: self._start_sync(until - time.monotonic(), tell=True)]

    def stop(self, now: float) -> None:
        """Somebody does not want to wait: what is not home yet stays in the queue."""
        self._waiting.clear()
        if self._current:
            self._voice.say("stopping; what is not home yet stays in the queue")
            self._current.hurry(now)

    # Doing it

    @property
    def files(self) -> list[int]:
        """The descriptors that tell of news."""
        return [self._current.descriptor] if self._current and self._current.is_open else []

    def due(self) -> list[float]:
        """When there is something to do, if nothing is heard before."""
        if self._current is not None:
            return [self._current.due]
        if self._waiting:
            return [time.monotonic()]
        due = [self._queue_next_at] if self._queued < len(self._seen) else []
        return due if self._drain_next_at is None else [*due, self._drain_next_at]

    def take(self, ready: Sequence[object]) -> None:
        """Take what the errand has printed, if its descriptor is among those that are ready."""
        if self._current and self._current.descriptor in ready:
            self._current.take()

    def ended(self, pid: int, status: int) -> None:
        """A child of ours has ended."""
        if self._current and pid == self._current.pid:
            self._current.status = status

    def go_on(self, now: float) -> None:
        """Begin the next one, press the one that is under way, or have done with it."""
        errand = self._current
        if errand is None:
            if not self._waiting:
                self._waiting += self._of_the_hour(now)
            if self._waiting:
                with self._voice.harmless("begin to send"):
                    self._current = self._waiting.pop(0)()
        elif errand.is_over:
            self._current = None
            self._finished(errand)
        else:
            errand.press(now)

    def _of_the_hour(self, now: float) -> list[Callable[[], Errand]]:
        """What is to be begun because its time has come."""
        if self._drain_next_at is not None and now >= self._drain_next_at:
            # Again when this one ends and the job does not: its run may only just have begun.
            left = (self._drained_until or now) - now
            self._drain_next_at = now + _DRAIN_AGAIN if left > _DRAIN_AGAIN else None
            return [partial(self._start_sync, left, live=True)]
        if self._queued < len(self._seen) and now >= self._queue_next_at:
            return [self._start_queueing]
        return []

    def _start_queueing(self) -> Errand:
        """Have the runs known to the queue while the job goes on: when all of us are killed, they still are."""
        self._queued, self._queue_next_at = len(self._seen), time.monotonic() + _QUEUE_EVERY
        return self._start_sync(0.0)

    def _start_sync(self, deadline: float, *, live: bool = False, tell: bool = False) -> Errand:
        rank = rank_of(self._env)
        order = Order(
            roots=tuple(map(os.fspath, self._roots)),
            seen=tuple(self._seen),
            since=self._since,
            deadline=max(0.0, deadline),
            sync=self.act and deadline > 0,
            # The runs of the other ranks may go on for a moment.
            live=live or rank.size > 1,
            target=self._choices.target,
        )
        return self._started("sync", order.command(), order.deadline, self._say_all if tell else _say_nothing)

    def _start_cleaning(self) -> Errand:
        target = self._choices.target
        command = clean_command([os.fspath(root) for root in self._roots], target.to, target.entity, target.project)
        return self._started("clean", command, _LONG, _say_nothing)

    def _started(self, name: str, command: Sequence[str], deadline: float, finished: Callable[[bytes], None]) -> Errand:
        until = time.monotonic() + deadline
        # Not in the command line: the address of a database may hold a password.
        queue = {_QUEUE: self._choices.queue} if self._choices.queue else {}
        return Errand.start(name, command, {**self._env, **queue}, deadline=until, finished=finished)

    def _say_all(self, output: bytes) -> None:
        for line in output.decode(errors="replace").splitlines():
            self._voice.say(line)

    def _finished(self, errand: Errand) -> None:
        errand.finished(bytes(errand.output))
        if errand.status and errand.finished != _say_nothing:
            later = shlex.join(["backhaul", "sync", os.fspath(self._roots[0])])
            self._voice.say(f"{errand.name} {JobEnd.of(errand.status)}; nothing is lost. Later: {later}")


def _say_nothing(output: bytes) -> None:
    """Of what is done while the job runs, the end will tell."""
