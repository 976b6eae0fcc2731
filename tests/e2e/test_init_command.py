"""`backhaul init`: the files are what their schedulers take, and do what they say. Slurm has a module of its own."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from backhaul.cli.main import cli
from backhaul.unattended.schedulers import TEMPLATES, Template

from ..command import Backhaul, copied, copy_of, marker_of
from ..waiting import until

_ALL = [template for parts in TEMPLATES.values() for template in parts.values()]
_SCRIPTS = [template for template in _ALL if template.file.endswith(".sh")]


def _written(template: Template, folder: Path, changes: dict[str, str]) -> Path:
    """The template with what a user would change; each change must find its place."""
    text = template.text()
    for old, new in changes.items():
        assert old in text, f"{template.file} has no {old!r}"
        text = text.replace(old, new)
    path = folder / template.file
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_every_file_is_printed_or_written_once(backhaul: Backhaul) -> None:
    """The first part when none is named; a script can be run at once; nothing is written over."""
    assert backhaul("init").stdout.count("\n") == len(_ALL)
    for kind, part in (("slurm", "job"), ("cron", "crontab")):
        assert backhaul("init", kind).stdout == TEMPLATES[kind][part].text()
    assert backhaul("init", "slurm", "epilog", "-o", "epilog.sh").exit_code == 0
    assert os.access(backhaul.cwd / "epilog.sh", os.X_OK)
    assert (backhaul.cwd / "epilog.sh").read_text() == TEMPLATES["slurm"]["epilog"].text()
    assert backhaul("init", "pbs", "-o", "epilog.sh").exit_code == 2
    wrong = backhaul("init", "systemd", "prologue")
    assert (wrong.exit_code, "watch, sync, timer" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("template", _ALL, ids=lambda template: template.file)
def test_every_file_says_what_it_is_and_what_to_change(template: Template) -> None:
    """A comment at the head, and marks where a user's own things go."""
    lines = template.text().splitlines()
    assert next(line for line in lines if not line.startswith("#!")).startswith("# ")
    assert template.part == "timer" or "CHANGE" in template.text()
    assert max(map(len, lines)) < 140 or template.kind == "cron"


def _commands(template: Template) -> list[list[str]]:
    """Every `backhaul` command that the file would run."""
    text = template.text().replace("\\\n", " ")
    if template.file.endswith(".yaml"):
        return [line for document in yaml.safe_load_all(text) for line in _argument_lists(document)]
    bare = "\n".join(line.partition(" #")[0] for line in text.splitlines() if not line.startswith("#"))
    found = re.findall(r"(?:backhaul|\$BACKHAUL\")\s+((?:run|sync|watch) [^&>|\n]*)", bare)
    return [shlex.split(re.sub(r"2?$", "", line.replace("$seconds", "60"))) for line in found]


def _argument_lists(node: Any) -> list[list[str]]:
    if isinstance(node, dict):
        whole = node.get("command", node.get("ContainerEntrypoint"))
        below = [found for value in node.values() for found in _argument_lists(value)]
        if isinstance(whole, list) and whole[:1] == ["backhaul"]:
            return [[*whole[1:], *node.get("args", node.get("ContainerArguments", []))]]
        return below
    return [found for each in node for found in _argument_lists(each)] if isinstance(node, list) else []


@pytest.mark.parametrize(
    "template", [each for each in _ALL if each.part != "timer"], ids=lambda template: template.file
)
def test_every_command_in_a_file_is_understood(template: Template) -> None:
    """Options and their values, as the program itself reads them."""
    commands = _commands(template)
    assert commands
    for name, *arguments in commands:
        known = cli.get_command(click.Context(cli), name)
        assert known is not None
        known.make_context(name, list(arguments))


@pytest.mark.parametrize("template", _SCRIPTS, ids=lambda template: template.file)
def test_scripts_are_sound(template: Template, tmp_path: Path) -> None:
    """As bash and shellcheck see it."""
    path = _written(template, tmp_path, {})
    for line in (["bash", "-n", path], ["shellcheck", path]):
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), line


@pytest.mark.parametrize("scope", ["--user", "--system"])
def test_units_are_taken_by_systemd(tmp_path: Path, scope: str) -> None:
    """`systemd-analyze verify` has nothing to say, for a user's units and the system's."""
    names = {"watch": "backhaul-watch.service", "sync": "backhaul-sync.service", "timer": "backhaul-sync.timer"}
    for part, name in names.items():
        text = (
            TEMPLATES["systemd"][part]
            .text()
            .replace("%h/.local/bin/backhaul", f"{Path(sys.executable).parent}/backhaul")
        )
        (tmp_path / name).write_text(text)
    units = [str(tmp_path / name) for name in names.values()]
    env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    options = [scope] if scope == "--user" else []
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *options, *units],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def _cron(backhaul: Backhaul, runs: Path) -> subprocess.CompletedProcess[str]:
    """What cron does with the entry: its variables, its shell, nothing else; output would be mail."""
    lines = [line for line in TEMPLATES["cron"]["crontab"].text().splitlines() if line and not line.startswith("#")]
    variables = dict(line.split("=", 1) for line in lines[:-1])
    credentials = {name: backhaul.env[name] for name in ("HOME", "WANDB_BASE_URL", "WANDB_API_KEY")}
    env = {**variables, **credentials, "BACKHAUL": f"{Path(sys.executable).parent}/backhaul", "RUNS": str(runs)}
    command = lines[-1].split(None, 5)[5]
    return subprocess.run(
        [variables["SHELL"], "-c", command], env=env, cwd="/", capture_output=True, text=True, timeout=150, check=False
    )


def test_the_crontab_brings_runs_home_and_tells_only_what_needs_somebody(
    backhaul: Backhaul, healthy: Path, project: str, tmp_path: Path
) -> None:
    """No mail when all is well or will be; mail with the reason when a run needs the user."""
    backhaul = backhaul.with_env(WANDB_PROJECT=project)
    done = _cron(backhaul, healthy.parent)
    assert (done.stdout, done.stderr) == ("", "")
    assert marker_of(healthy).exists()
    copy_of("empty", tmp_path / "bad")
    mail = _cron(backhaul, tmp_path / "bad")
    assert "backhaul ended with 6" in mail.stdout
    assert "empty-log" in mail.stdout


def test_the_epilog_sends_and_never_fails(backhaul: Backhaul, healthy_original: Path, tmp_path: Path) -> None:
    """Slurm takes a node out of service whose epilog fails."""
    run = copied(healthy_original, tmp_path / "scratch")
    place = {"/scratch/${SLURM_JOB_USER:-}": str(tmp_path / "scratch")}
    epilog = _written(TEMPLATES["slurm"]["epilog"], tmp_path, place)
    env = backhaul.env | {"SLURM_JOB_USER": "root"}
    assert subprocess.run([epilog], env=env, timeout=150, check=False).returncode == 0
    assert marker_of(run).exists()
    for name in ("no-such-user", ""):
        assert subprocess.run([epilog], env=env | {"SLURM_JOB_USER": name}, timeout=150, check=False).returncode == 0


_CATCHES = """
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(85))
print("ready", flush=True)
signal.pause()
"""


def _train(folder: Path, program: str) -> None:
    (folder / "train.py").write_text(program)


def test_the_requeueing_script_puts_itself_back(backhaul: Backhaul, tmp_path: Path) -> None:
    """USR1 reaches the program through script and wrapper; its 85 asks Slurm for another start; other codes do not."""
    script = _written(TEMPLATES["slurm"]["requeue"], tmp_path, {"--deadline 100": "--no-sync"})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "scontrol").write_text('#!/bin/sh\necho "$@" >> "$HOME/asked"\n')
    (tmp_path / "bin" / "scontrol").chmod(0o755)
    env = backhaul.env | {"SLURM_JOB_ID": "4711", "SLURM_SUBMIT_DIR": str(tmp_path)}
    env["PATH"] = f"{tmp_path}/bin:{env['PATH']}"
    _train(tmp_path, _CATCHES)
    started = subprocess.Popen([script], env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    with started:
        assert started.stdout is not None
        started.stdout.readline()
        # The script alone, as Slurm does it with `B:`.
        started.send_signal(signal.SIGUSR1)
        assert started.wait(120) == 85
    asked = Path(env["HOME"], "asked")
    assert asked.read_text() == "requeue 4711\n"
    _train(tmp_path, "raise SystemExit(3)")
    assert subprocess.run([script], env=env, cwd=tmp_path, timeout=120, check=False).returncode == 3
    assert asked.read_text() == "requeue 4711\n"


def test_the_pbs_script_announces_its_own_limit(backhaul: Backhaul, tmp_path: Path) -> None:
    """`timeout` sends USR1 and waits on; the program's exit code is the job's."""
    script = _written(TEMPLATES["pbs"]["job"], tmp_path, {"--deadline 100": "--no-sync"})
    _train(tmp_path, _CATCHES)
    env = backhaul.env | {"PBS_O_WORKDIR": str(tmp_path), "PBS_JOBID": "1.server"}
    # The script becomes `timeout`, whose clock rings by this signal; here it rings when the program is ready.
    with subprocess.Popen([script], env=env, cwd="/", stdout=subprocess.PIPE, text=True) as limited:
        assert limited.stdout is not None
        assert limited.stdout.readline() == "ready\n"
        limited.send_signal(signal.SIGALRM)
        assert limited.wait(120) == 85
    directives = re.findall(r"^#PBS (-\w)", script.read_text(), flags=re.MULTILINE)
    assert directives == ["-N", "-j", "-l", "-l", "-r"]


def test_deadlines_fit_into_what_the_scheduler_gives() -> None:
    """Kubernetes' grace, AWS's two minutes, Slurm's warning: the sending ends before the machine does."""
    job, claim = yaml.safe_load_all(TEMPLATES["kubernetes"]["job"].text())
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    deadline = int(container["command"][container["command"].index("--deadline") + 1])
    assert deadline < pod["terminationGracePeriodSeconds"]
    sweeper = yaml.safe_load(TEMPLATES["kubernetes"]["sweeper"].text())["spec"]["jobTemplate"]["spec"]
    claims = {spec["volumes"][0]["persistentVolumeClaim"]["claimName"] for spec in (pod, sweeper["template"]["spec"])}
    assert claims == {claim["metadata"]["name"]}
    for text in (TEMPLATES["slurm"]["job"].text(), TEMPLATES["slurm"]["requeue"].text()):
        (warning,) = re.findall(r"--signal=B:USR1@(\d+)", text)
        (given,) = re.findall(r"backhaul run --deadline (\d+)", text)
        assert int(given) < int(warning)


_CHECK_KUBERNETES = """
import sys, yaml, kubernetes_validate
for document in yaml.safe_load_all(open(sys.argv[1])):
    kubernetes_validate.validate(document, "1.30", strict=True)
"""
_CHECK_AWS = """
import sys, yaml, botocore.session, botocore.validate
service, operation, path = sys.argv[1:]
model = botocore.session.get_session().get_service_model(service).operation_model(operation)
report = botocore.validate.ParamValidator().validate(yaml.safe_load(open(path)), model.input_shape)
sys.exit(report.generate_report() or 0)
"""


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_files_for_clouds_are_as_their_schemas_have_it(tmp_path: Path) -> None:
    """Kubernetes' own schema, strictly, and AWS's own models of its calls; an invented key is refused."""
    packages = tmp_path / "packages"
    line = [sys.executable, "-m", "pip", "install", "-q", "--target", packages, "kubernetes-validate", "botocore"]
    subprocess.run(line, check=True)

    def refused(script: str, template: Template, *arguments: str, **changes: str) -> str:
        path = _written(template, tmp_path, changes)
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments, path], env={"PYTHONPATH": str(packages)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stderr if done.returncode else ""

    kubernetes, aws, sage = (TEMPLATES[kind] for kind in ("kubernetes", "aws-batch", "sagemaker"))
    for template in kubernetes.values():
        assert refused(_CHECK_KUBERNETES, template) == ""
    assert refused(_CHECK_KUBERNETES, kubernetes["job"], backoffLimit="backOffLimit") != ""
    batch = ("batch", "RegisterJobDefinition")
    assert refused(_CHECK_AWS, aws["job-definition"], *batch) == ""
    assert refused(_CHECK_AWS, aws["job-definition"], *batch, evaluateOnExit="evaluateAtExit") != ""
    training = ("sagemaker", "CreateTrainingJob")
    assert refused(_CHECK_AWS, sage["training-job"], *training) == ""
    assert refused(_CHECK_AWS, sage["training-job"], *training, RoleArn="Role") != ""


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_a_real_cron_brings_a_run_home(backhaul: Backhaul, healthy: Path, project: str) -> None:
    """Debian's cron, with this one entry, every minute."""
    if not Path("/usr/sbin/cron").exists():
        subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "cron"], check=True)
    settings = {"HOME": backhaul.env["HOME"], "WANDB_PROJECT": project, "MAILTO": '""'}
    settings |= {name: backhaul.env[name] for name in ("WANDB_BASE_URL", "WANDB_API_KEY")}
    text = TEMPLATES["cron"]["crontab"].text()
    text = text.replace("BACKHAUL=backhaul", f"BACKHAUL={Path(sys.executable).parent}/backhaul")
    text = text.replace("RUNS=project/wandb", f"RUNS={healthy.parent}").replace("*/15 * * * * ", "* * * * * root ")
    entry = Path("/etc/cron.d/backhaul-test")
    entry.write_text("".join(f"{name}={value}\n" for name, value in settings.items()) + text)
    daemon = subprocess.Popen(["/usr/sbin/cron", "-f"])
    try:
        until(marker_of(healthy).exists, "cron brings it home", timeout=150)
    finally:
        entry.unlink()
        daemon.terminate()
        daemon.wait(10)
