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
from pathlib import Path
from typing import Any

from backhaul.unattended.choices import Choices
from backhaul.unattended.disk_guard import Action
from backhaul.unattended.errands import Errands
from backhaul.unattended.job import Job, JobEnd, has_terminal
from backhaul.unattended.job_environment import environment_of_the_job
from backhaul.unattended.lookout import Lookout
from backhaul.unattended.media_switch import MediaSwitch
from backhaul.unattended.signals import PASSED_ON, Signals
from backhaul.unattended.voice import Voice
from backhaul.unattended.watching import Watching

# The job starts after so many seconds, whatever the checks are still at.
_CHECKS_WITHIN = 2.0
# In this time a signal that was sent to all processes has reached the lookout too.
_SENT_TO_ALL_WITHIN = 0.1
_SAME_MOMENT = 0.5
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
        self._checked = False
        self._pending: dict[int, float] = {}
        self._errands = Errands(choices, env, self._roots, voice)

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
            self._errands.finish(time.monotonic())
            self._wait(lambda: self._errands.are_done, None)
        if self._lookout:
            self._lookout.end()
        return end

    def _watching(self) -> Watching:
        choices = self._choices
        return Watching(
            self._roots,
            choices.target,
            self._env,
            self._errands.act,
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
        files: list[Any] = [self._signals, *self._errands.files]
        if self._lookout:
            files += [self._lookout.events, self._lookout.canary]
        due = [when for when in (until, *self._pending.values(), *self._errands.due()) if when is not None]
        ready = select.select(files, [], [], max(0.0, min(due) - now) if due else None)[0]
        now = time.monotonic()
        for number in self._signals.take() if self._signals in ready else ():
            self._on_signal(number, now)
        if self._lookout:
            self._listen(self._lookout, now)
        self._errands.take(ready)
        self._pass_on(now)
        self._errands.go_on(now)

    # Signals

    def _on_signal(self, number: int, now: float) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif self._job is None or self._job.end is None:
            self._pending.setdefault(number, now + _SENT_TO_ALL_WITHIN)
            if number == signal.SIGTERM or number in self._choices.drain_on:
                self._errands.drain(f"{signal.Signals(number).name} came", now)
        else:
            self._errands.stop(now)

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
            else:
                self._errands.ended(pid, status)

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
                self._errands.note(event["path"])
            case "notice":
                self._errands.drain(event["text"], now)
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
                case Action.SYNC:
                    self._errands.sync()
                case Action.CLEAN:
                    self._errands.clean()
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
