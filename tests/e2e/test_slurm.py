"""The files of `backhaul init slurm` on a real Slurm: one node, Debian's slurm-wlm and munge, all on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from backhaul.unattended.schedulers import TEMPLATES

from ..command import Backhaul, marker_of
from ..conftest import DepotProcess
from ..depot_contents import held
from ..ports import port_for_later
from ..waiting import until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(400)]

_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={home}/munge.sock
SlurmctldPort={ctld}
SlurmdPort={slurmd}
CommunicationParameters=NoCtldInAddrAny
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=20
MinJobAge=600
SchedulerParameters=batch_sched_delay=0,sched_interval=2,requeue_delay=1
Epilog={home}/epilog.sh
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Slurm:
    """A cluster of this one machine."""

    home: Path
    scratch: Path

    def __call__(self, *line: object, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
        """Run one of Slurm's commands; what it prints."""
        done = self._run(*line, env=env, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(
        self, *line: object, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        env = {**(env or dict(os.environ)), "SLURM_CONF": str(self.home / "slurm.conf")}
        return subprocess.run(
            [*map(str, line)], env=env, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
        )

    def submit(self, script: Path, backhaul: Backhaul, *options: str) -> str:
        """The number of the job that it becomes."""
        env = backhaul.env | {"WANDB_DIR": str(self.scratch)}
        return self("sbatch", "--parsable", *options, script, env=env, cwd=backhaul.cwd).strip()

    def job(self, number: str) -> dict[str, str]:
        """What Slurm knows of it."""
        return dict(word.split("=", 1) for word in self("scontrol", "-o", "show", "job", number).split() if "=" in word)

    def wait(self, number: str, state: str) -> dict[str, str]:
        """The job once it is in this state."""
        until(lambda: self.job(number)["JobState"] == state, f"job {number}: {state}", timeout=180, every=0.3)
        return self.job(number)

    def wait_for_service(self) -> None:
        """Return when the node takes jobs; at first the controller does not answer."""
        look = ("sinfo", "-h", "-o", "%T")
        until(lambda: self._run(*look).stdout.strip() == "idle", "the node is in service", every=0.3)


@pytest.fixture
def slurm(backhaul: Backhaul, tmp_path: Path) -> Iterator[Slurm]:
    """munged, slurmctld and slurmd with the epilog of the template; they end with the test."""
    if not (shutil.which("slurmctld") and shutil.which("munged")):
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "slurm-wlm", "munge"]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    # munge wants folders in which nobody else may write, from the root down.
    home = Path("/run") / f"backhaul-slurm-{os.getpid()}"
    for folder in (home / "state", home / "spool"):
        folder.mkdir(parents=True)
    cluster = Slurm(home, tmp_path / "scratch")
    cluster.scratch.mkdir()
    host = socket.gethostname().partition(".")[0]
    ports = {"ctld": port_for_later(), "slurmd": port_for_later()}
    (home / "slurm.conf").write_text(_CONF.format(home=home, host=host, cpus=os.cpu_count(), **ports))
    (home / "key").write_bytes(os.urandom(1024))
    (home / "key").chmod(0o400)
    _write_epilog(home / "epilog.sh", cluster.scratch, backhaul)
    files = [f"--{name}={home}/{file}" for name, file in (
        ("key-file", "key"), ("socket", "munge.sock"), ("pid-file", "munged.pid"), ("seed-file", "seed"),
    )]  # fmt: skip
    daemons = [_started(home, "munged", "--foreground", "--force", *files)]
    until((home / "munge.sock").exists, "munged listens")
    daemons += [_started(home, "slurmctld", "-D"), _started(home, "slurmd", "-D", "-N", host)]
    try:
        cluster.wait_for_service()
        yield cluster
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(30)
        shutil.rmtree(home)


def _started(home: Path, *line: str) -> subprocess.Popen[bytes]:
    env = {"PATH": os.environ["PATH"], "SLURM_CONF": str(home / "slurm.conf")}
    with (home / f"{line[0]}.out").open("wb") as said:
        return subprocess.Popen([*line], env=env, stdout=said, stderr=said)


def _write_epilog(path: Path, scratch: Path, backhaul: Backhaul) -> None:
    """The template, with the places of this test; a user's login is here in the environment instead of his home."""
    text = TEMPLATES["slurm"]["epilog"].text()
    settings = "\n".join(f"export {name}={value!r}" for name, value in backhaul.env.items())
    text = text.replace("/scratch/${SLURM_JOB_USER:-}", str(scratch))
    # Slurm gives its epilogs no PATH but the system's.
    path.write_text(text.replace("# CHANGE: where", f"{settings}\n# CHANGE: where", 1))
    path.chmod(0o755)


def _script(part: str, folder: Path, changes: Mapping[str, str] = MappingProxyType({})) -> Path:
    text = TEMPLATES["slurm"][part].text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / f"{part}.sh"
    path.write_text(text)
    return path


_TRAIN = """
import os, signal, sys, time, wandb
got = []
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: got.append(signal.Signals(number).name))
run = wandb.init(project=os.environ["TEST_PROJECT"], id=os.environ.get("WANDB_RUN_ID", "slurm"), resume="allow")
step = 0
while "SIGTERM" not in got:
    run.log({"step": step})
    step += 1
    time.sleep(0.2)
time.sleep(1)
open("got", "w").write(" ".join(got))
run.finish()
sys.exit(4)
"""


def test_a_job_drains_before_its_time_limit_and_is_home_when_it_ends(
    slurm: Slurm, backhaul: Backhaul, depot: DepotProcess, project: str
) -> None:
    """At USR1 what is recorded goes home; TERM comes at the limit, to every process, and to the job once."""
    (backhaul.cwd / "train.py").write_text(_TRAIN)
    script = _script("job", backhaul.cwd, {"USR1@120": "USR1@50"})
    number = slurm.submit(script, backhaul.with_env(TEST_PROJECT=project), "--time=1")
    log = backhaul.cwd / f"train-{number}.out"
    until(lambda: log.exists() and "SIGUSR1 came" in log.read_text(), "the warning comes", timeout=180)
    assert slurm.job(number)["JobState"] == "RUNNING"
    until(lambda: held(depot.data, project, "slurm").history, "rows are home")
    assert slurm.job(number)["JobState"] == "RUNNING"
    ended = slurm.wait(number, "TIMEOUT")
    said = log.read_text()
    assert f"verified at the server: tester/{project}/slurm" in said, said
    assert (backhaul.cwd / "got").read_text() == "SIGUSR1 SIGTERM", ended
    slurm.wait_for_service()


def test_a_job_is_requeued_until_it_is_done_and_is_one_run(
    slurm: Slurm, backhaul: Backhaul, depot: DepotProcess, project: str
) -> None:
    """The first start ends with 85, the second with 0: two parts of one run, both home."""
    (backhaul.cwd / "train.py").write_text(
        "import os, sys, wandb\n"
        f"run = wandb.init(project={project!r}, resume='allow')\n"
        "again = os.environ.get('SLURM_RESTART_COUNT', '0') != '0'\n"
        "[run.log({'step': step + 5 * again}) for step in range(5)]\n"
        "run.finish()\n"
        "sys.exit(0 if again else 85)\n"
    )
    number = slurm.submit(_script("requeue", backhaul.cwd), backhaul)
    ended = slurm.wait(number, "COMPLETED")
    assert ended["Restarts"] == "1"
    rows = held(depot.data, project, f"job-{number}").rows
    assert [row["step"] for row in rows] == list(range(10))
    slurm.wait_for_service()
    assert all(marker_of(run).exists() for run in slurm.scratch.glob("wandb/offline-run-*"))


def test_what_a_job_leaves_behind_is_brought_home_by_the_epilog(
    slurm: Slurm, backhaul: Backhaul, depot: DepotProcess, project: str
) -> None:
    """Without a wrapper, and killed; the node is back in service."""
    killed = f"import os, time, wandb; run = wandb.init(project={project!r}, id='left')\nrun.log({{'a': 1}})\n"
    (backhaul.cwd / "train.py").write_text(killed + "time.sleep(2.5)\nos.kill(os.getpid(), 9)\n")
    script = backhaul.cwd / "plain.sh"
    script.write_text(f"#!/bin/bash\nexec {sys.executable} train.py\n")
    settings = {"WANDB_MODE": "offline", "WANDB__TRANSACTION_LOG_FLUSH_INTERVAL": "1"}
    number = slurm.submit(script, backhaul.with_env(**settings))
    slurm.wait(number, "FAILED")
    slurm.wait_for_service()
    assert [row["a"] for row in held(depot.data, project, "left").rows] == [1]


def test_of_the_tasks_of_a_step_one_brings_the_run_home(
    slurm: Slurm, backhaul: Backhaul, depot: DepotProcess, project: str
) -> None:
    """A wrapper for each task of srun: one sends, and srun ends with the job's exit code."""
    (backhaul.cwd / "train.py").write_text(
        "import os, sys, wandb\n"
        "if os.environ['SLURM_PROCID'] == '0':\n"
        f"    run = wandb.init(project={project!r}, id='tasks')\n"
        "    run.log({'a': 1})\n"
        "    run.finish()\n"
        "sys.exit(6)\n"
    )
    script = backhaul.cwd / "step.sh"
    step = f"srun --ntasks=2 --overcommit backhaul run -- {sys.executable} train.py"
    script.write_text(f"#!/bin/bash\n#SBATCH --output=%j.out\n{step}\n")
    number = slurm.submit(script, backhaul, "--ntasks=2", "--overcommit")
    assert slurm.wait(number, "FAILED")["ExitCode"] == "6:0"
    said = (backhaul.cwd / f"{number}.out").read_text()
    assert said.count("verified at the server") == 1, said
    assert [row["a"] for row in held(depot.data, project, "tasks").rows] == [1]
