"""The job wrapper: runs a job as if it ran alone, and brings home what it recorded.

Three kinds of process stand beside the job, so that none can do it harm: this one, which only waits and passes signals
on; the lookout, which looks at what may hang; and errands, which do what takes time and may fail.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from backhaul.unattended.choices import Choices
from backhaul.unattended.disk_guard import Action
from backhaul.unattended.errand import Errand
from backhaul.unattended.job import Job, JobEnd, has_terminal
from backhaul.unattended.job_environment import environment_of_the_job
from backhaul.unattended.lookout import Lookout
from backhaul.unattended.media_switch import MediaSwitch
from backhaul.unattended.order import Order, clean_command
from backhaul.unattended.ranks import rank_of
from backhaul.unattended.signals import PASSED_ON, Signals
from backhaul.unattended.voice import Voice
from backhaul.unattended.watching import Watching

# The job starts after so many seconds, whatever the checks are still at.
_CHECKS_WITHIN = 2.0
# In this time a signal that was sent to all processes has reached the lookout too.
_SENT_TO_ALL_WITHIN = 0.1
_SAME_MOMENT = 0.5
_LONG_ERRAND = 900.0
# A drain that has ended before the job is begun again after so many seconds, while its time lasts.
_DRAIN_AGAIN = 5.0
# New runs are put into the queue at most so often while the job goes on.
_QUEUE_EVERY = 30.0
_QUEUE = "BACKHAUL_QUEUE"
_STANDARD_ERROR = 2
_WARNINGS = frozenset({signal.SIGUSR1, signal.SIGUSR2})
_LINKED_MEDIA = {"WANDB_ALLOW_MEDIA_SYMLINK": "true"}


def run(command: Sequence[str], choices: Choices, env: Mapping[str, str], voice: Voice) -> JobEnd:
    """Run the job to its end, and bring home what it recorded. How it ended is the job's own end, whatever befalls us.

    Raises JobNotStarted.
    """
    wrapper = None
    with voice.harmless("stand beside the job"):
        wrapper = _Wrapper(choices, env, voice)
    return wrapper.run(command) if wrapper else _without_us(command, env)


class _Wrapper:
    """One job and what stands beside it."""

    def __init__(self, choices: Choices, env: Mapping[str, str], voice: Voice) -> None:
        _keep_standard_numbers()
        self._choices, self._env, self._voice = choices, env, voice
        self._roots = choices.folders or (_work_folder(env),)
        self._own_group = not has_terminal()
        self._signals = Signals()
        self._lookout: Lookout | None = None
        self._job: Job | None = None
        self._job_env = environment_of_the_job(env)
        self._media: MediaSwitch | None = None
        self._since = time.time()
        self._checked = False
        self._seen: dict[str, None] = {}
        self._pending: dict[int, float] = {}
        self._drained_until: float | None = None
        self._errand: Errand | None = None
        self._errands: list[Callable[[], Errand]] = []
        self._drain_next_at: float | None = None
        self._queued = 0
        self._queue_next_at = 0.0

    def run(self, command: Sequence[str]) -> JobEnd:
        """See `run` of this module."""
        try:
            return self._run(command)
        finally:
            if self._media:
                self._media.remove()

    def _run(self, command: Sequence[str]) -> JobEnd:
        with self._voice.harmless("look out"):
            self._lookout = Lookout.start(self._watching().look, own_group=self._own_group)
            self._wait(lambda: self._checked, time.monotonic() + _CHECKS_WITHIN)
        with self._voice.harmless("get ready to link media files"):
            self._have_a_switch()
        job = self._job = Job.start(command, self._job_env, own_group=self._own_group)
        with self._voice.harmless("leave its files to the job"):
            _let_go_of((0, 1) if self._voice.is_on_standard_error else (0, 1, 2))
        with self._voice.harmless("watch the job"):
            if self._lookout:
                self._lookout.order(job=job.pid)
            self._wait(lambda: job.end is not None, None)
        end = job.end or _waited_for(job)
        with self._voice.harmless("bring the runs home"):
            self._bring_home()
        if self._lookout:
            self._lookout.end()
        return end

    def _watching(self) -> Watching:
        choices = self._choices
        return Watching(
            self._roots,
            choices.target,
            self._env,
            choices.sync and rank_of(self._env).is_first_here,
            choices.thresholds,
            choices.disk_every,
            choices.cloud,
            choices.metadata_url,
        )

    def _wait(self, is_over: Callable[[], bool], until: float | None) -> None:
        """Deal with whatever comes, until then."""
        while not is_over() and (until is None or time.monotonic() < until):
            self._step(until)

    def _step(self, until: float | None) -> None:
        now = time.monotonic()
        files: list[Any] = [self._signals]
        if self._lookout:
            files += [self._lookout.events, self._lookout.canary]
        if self._errand and self._errand.is_open:
            files.append(self._errand.descriptor)
        due = [time for time in (until, *self._pending.values(), *self._errand_due()) if time is not None]
        ready = select.select(files, [], [], max(0.0, min(due) - now) if due else None)[0]
        now = time.monotonic()
        for number in self._signals.take() if self._signals in ready else ():
            self._on_signal(number, now)
        if self._lookout:
            self._listen(self._lookout, now)
        if self._errand and self._errand.descriptor in ready:
            self._errand.take()
        self._pass_on(now)
        self._see_to_the_errand(now)

    # Signals

    def _on_signal(self, number: int, now: float) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif self._job is None or self._job.end is None:
            self._pending.setdefault(number, now + _SENT_TO_ALL_WITHIN)
            if number == signal.SIGTERM or number in self._choices.drain_on:
                self._drain(f"{signal.Signals(number).name} came", now)
        else:
            self._errands.clear()
            if self._errand:
                self._voice.say("stopping; what is not home yet stays in the queue")
                self._errand.hurry(now)

    def _pass_on(self, now: float) -> None:
        job = self._job
        if job is None:
            return
        for number, due in list(self._pending.items()):
            to_all = self._lookout and self._lookout.heard(number, due - _SENT_TO_ALL_WITHIN - _SAME_MOMENT)
            if to_all or now >= due:
                del self._pending[number]
                if not to_all:
                    job.warn(number) if number in _WARNINGS else job.send(number)

    def _reap(self) -> None:
        """Take note of every child that has ended; as the first process of a container, of the job's orphans too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._job and pid == self._job.pid:
                self._job.end = JobEnd.of(status)
            elif self._errand and pid == self._errand.pid:
                self._errand.status = status

    # The lookout

    def _listen(self, lookout: Lookout, now: float) -> None:
        lookout.listen(now)
        events = lookout.take()
        if events is None:
            lookout.end()
            self._lookout, self._checked = None, True
            return
        for event in events:
            self._on_event(event, now)

    def _on_event(self, event: Mapping[str, Any], now: float) -> None:
        match event["event"]:
            case "checked":
                self._checked = True
            case "log":
                self._seen[event["path"]] = None
            case "notice":
                self._drain(event["text"], now)
                if self._job and self._choices.notice_signal:
                    self._job.warn(self._choices.notice_signal)
            case "disk":
                self._on_disk(event)
            case _:
                self._voice.say(event["text"])

    def _on_disk(self, event: Mapping[str, Any]) -> None:
        self._voice.say(event["text"])
        for action in event["actions"]:
            match Action(action):
                case Action.SYNC if self._acts:
                    self._errands.append(partial(self._start_sync, _LONG_ERRAND))
                case Action.CLEAN if self._acts:
                    self._errands.append(self._start_cleaning)
                case Action.LINK_MEDIA | Action.COPY_MEDIA:
                    with self._voice.harmless("tell wandb about it"):
                        self._see_to_media(Action(action), event["folder"])
                case Action.SIGNAL if self._job:
                    self._job.warn(self._choices.disk_signal)

    def _have_a_switch(self) -> None:
        """Where media files may have to be linked later, have the job listen; not if that is settled already."""
        if Action.LINK_MEDIA in self._choices.thresholds.actions and not _LINKED_MEDIA.keys() & self._job_env.keys():
            self._media = MediaSwitch.make()
            self._job_env = self._media.environment(self._job_env)

    def _see_to_media(self, action: Action, disk: str) -> None:
        if self._job is None and action is Action.LINK_MEDIA:
            self._job_env = {**_LINKED_MEDIA, **self._job_env}
        elif self._media:
            linked = self._media.links
            self._media.link(disk) if action is Action.LINK_MEDIA else self._media.copy(disk)
            if self._media.links != linked:
                self._voice.say(f"from now on media files are {'copied again' if linked else 'linked, not copied'}")

    # Errands

    @property
    def _acts(self) -> bool:
        """Whether this process acts for the others of a distributed job on this host."""
        return self._choices.sync and rank_of(self._env).is_first_here

    def _drain(self, why: str, now: float) -> None:
        if self._drained_until is not None and now < self._drained_until:
            return
        self._drained_until = now + self._choices.deadline
        if self._acts:
            self._voice.say(f"{why}: sending what is recorded so far")
            self._drain_next_at = now

    def _bring_home(self) -> None:
        """What the job has recorded goes home before the time is over; a signal ends it sooner."""
        now = time.monotonic()
        if not self._seen and not rank_of(self._env).is_first_here:
            return
        until = self._drained_until
        if until is None or now >= until:
            until = now + self._choices.deadline
        self._drain_next_at = None
        self._errands = [lambda: self._start_sync(until - time.monotonic(), tell=True)]
        self._wait(lambda: self._errand is None and not self._errands, None)

    def _errands_of_the_hour(self, now: float) -> list[Callable[[], Errand]]:
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
            sync=self._acts and deadline > 0,
            # The runs of the other ranks may go on for a moment.
            live=live or rank.size > 1,
            target=self._choices.target,
        )
        return self._started("sync", order.command(), order.deadline, self._say_all if tell else _say_nothing)

    def _start_cleaning(self) -> Errand:
        target = self._choices.target
        command = clean_command([os.fspath(root) for root in self._roots], target.to, target.entity, target.project)
        return self._started("clean", command, _LONG_ERRAND, _say_nothing)

    def _started(self, name: str, command: Sequence[str], deadline: float, finished: Callable[[bytes], None]) -> Errand:
        until = time.monotonic() + deadline
        # Not in the command line: the address of a database may hold a password.
        queue = {_QUEUE: self._choices.queue} if self._choices.queue else {}
        return Errand.start(name, command, {**self._env, **queue}, deadline=until, finished=finished)

    def _say_all(self, output: bytes) -> None:
        for line in output.decode(errors="replace").splitlines():
            self._voice.say(line)

    def _errand_due(self) -> list[float]:
        if self._errand is not None:
            return [self._errand.due]
        if self._errands:
            return [time.monotonic()]
        due = [self._queue_next_at] if self._queued < len(self._seen) else []
        return due if self._drain_next_at is None else [*due, self._drain_next_at]

    def _see_to_the_errand(self, now: float) -> None:
        errand = self._errand
        if errand is None:
            if not self._errands:
                self._errands += self._errands_of_the_hour(now)
            if self._errands:
                with self._voice.harmless("begin to send"):
                    self._errand = self._errands.pop(0)()
        elif errand.is_over:
            self._errand = None
            self._finish(errand)
        else:
            errand.press(now)

    def _finish(self, errand: Errand) -> None:
        errand.finished(bytes(errand.output))
        if errand.status and errand.finished != _say_nothing:
            folder = self._roots[0]
            self._voice.say(f"{errand.name} {JobEnd.of(errand.status)}; nothing is lost. Later: backhaul sync {folder}")


def _keep_standard_numbers() -> None:
    """Where a standard file was closed before us, no pipe of ours may get its number; for the job it stays closed."""
    while (descriptor := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) <= _STANDARD_ERROR:
        continue
    os.close(descriptor)


def _let_go_of(descriptors: Sequence[int]) -> None:
    """Whoever reads the job's output shall see its end with the job, and not with the sync."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in descriptors:
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _say_nothing(output: bytes) -> None:
    """Of what is done while the job runs, the end will tell."""


def _work_folder(env: Mapping[str, str]) -> Path:
    folder = Path(env.get("WANDB_DIR") or ".")
    try:
        return folder.absolute()
    except FileNotFoundError:
        # Somebody has removed the folder that we are in; the job may not mind.
        return folder


def _without_us(command: Sequence[str], env: Mapping[str, str]) -> JobEnd:
    return _waited_for(Job.start(command, environment_of_the_job(env), own_group=False))


def _waited_for(job: Job) -> JobEnd:
    """The plainest way to the end of a job, for when something of ours has broken: pass signals on, and wait."""
    for number in PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: job.send(number))
    return JobEnd.of(os.waitpid(job.pid, 0)[1])
