"""Unmodified SDKs of four years against the depot: they log, resume, rewind, fork and sync, and read it all back.

Run by hand: `scripts/test -m soak tests/compat/test_sdk_matrix*.py`. Each release gets an environment of its own from
the package registry, some minutes for all. `BACKHAUL_SDKS=FOLDER` keeps the environments for the next time, and
`BACKHAUL_SDK="VERSION …"` runs some releases alone.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .releases import each_release

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

    from .conftest import Program

# Other programs do the work, on a machine that may have much else to do.
pytestmark = pytest.mark.timeout(500)

_LOG = """
    import json, sys, wandb
    project, name, mode, resume = sys.argv[1:5]
    run = wandb.init(project=project, id=name, mode=mode, resume=resume or None, config={"lr": 0.1}, tags=["t"])
    for number in range(5):
        run.log({"loss": number / 7, "nested": {"x": number}})
    with open("saved.txt", "w") as file:
        file.write("saved")
    wandb.save("saved.txt")
    run.finish()
    print(json.dumps({"version": wandb.__version__}))
"""

_READ = """
    import json, sys, wandb
    run = wandb.Api().run(sys.argv[1] + "/" + sys.argv[2])
    rows = [[row["_step"], row["loss"]] for row in run.scan_history(keys=["_step", "loss"])]
    sampled = [row["loss"] for row in run.history(pandas=False)]
    saved = run.file("saved.txt").download("got", replace=True).read()
    print(json.dumps({"rows": rows, "sampled": sampled, "state": run.state, "config": dict(run.config),
                      "loss": run.summary["loss"], "tags": run.tags, "saved": saved}))
"""


def _whole(rows: int) -> dict[str, Any]:
    """What must be read of a run that logged the five rows, once or again after a resume."""
    losses = [number % 5 / 7 for number in range(rows)]
    return {
        "rows": [[step, loss] for step, loss in enumerate(losses)],
        "sampled": losses,
        "state": "finished",
        "config": {"lr": 0.1},
        "loss": 4 / 7,
        "tags": ["t"],
        "saved": "saved",
    }


@each_release()
def test_what_is_logged_online_is_read_back(program: Program, project: str) -> None:
    """Rows by scanning and by sampling, config, summary, tags, state and a saved file."""
    program(_LOG, project, "one", "online", "")
    assert program(_READ, project, "one") == _whole(5)


@each_release()
def test_a_run_resumed_with_must_goes_on(program: Program, project: str) -> None:
    """The second session's steps follow the first's, and none is lost."""
    program(_LOG, project, "one", "online", "")
    program(_LOG, project, "one", "online", "must")
    assert program(_READ, project, "one") == _whole(10)


@each_release()
def test_a_run_resumed_with_allow_begins_or_goes_on(program: Program, project: str) -> None:
    """The same call makes the run, and goes on with it."""
    program(_LOG, project, "one", "online", "allow")
    program(_LOG, project, "one", "online", "allow")
    assert program(_READ, project, "one") == _whole(10)


@each_release()
def test_an_offline_run_is_synced(program: Program, project: str, sdk_env: dict[str, str]) -> None:
    """The release's own sync brings what its offline run holds; doing it again changes nothing."""
    program(_LOG, project, "off", "offline", "")
    (folder,) = Path(sdk_env["WANDB_DIR"], "wandb").glob("offline-run-*")
    program("", "sync", str(folder), module=True)
    assert program(_READ, project, "off") == _whole(5)
    program("", "sync", "--include-synced", str(folder), module=True)
    assert program(_READ, project, "off") == _whole(5)


_BRANCH = """
    import json, sys, wandb
    project, name, argument = sys.argv[1:4]
    if argument == "resume_from":
        run = wandb.init(project=project, resume_from="one?_step=2")
    else:
        run = wandb.init(project=project, id=name, fork_from="one?_step=2")
    for number in (30, 40):
        run.log({"loss": number})
    run.finish()
    run = wandb.Api().run(project + "/" + name)
    rows = [[row["_step"], row["loss"]] for row in run.scan_history(keys=["_step", "loss"])]
    print(json.dumps([rows, [row["loss"] for row in run.history(pandas=False)]]))
"""
_BRANCHED = [[0, 0], [1, 1 / 7], [2, 2 / 7], [3, 30], [4, 40]]


@each_release(since="0.17.9", installed=True)
def test_a_rewound_run_goes_on_from_the_step(program: Program, project: str) -> None:
    """`resume_from`: what came after the step is gone, what came up to it stays."""
    program(_LOG, project, "one", "online", "")
    assert program(_BRANCH, project, "one", "resume_from") == [_BRANCHED, [loss for _, loss in _BRANCHED]]


@each_release(since="0.16.6", installed=True)
def test_a_fork_has_the_rows_of_its_parent_up_to_the_step(program: Program, project: str) -> None:
    """`fork_from`: the new run goes on after the step, the parent stays as it was."""
    program(_LOG, project, "one", "online", "")
    assert program(_BRANCH, project, "two", "fork_from") == [_BRANCHED, [loss for _, loss in _BRANCHED]]
    assert program(_READ, project, "one") == _whole(5)


_RICH = """
    import json, os, sys, time, wandb
    run = wandb.init(project=sys.argv[1], id="rich", notes="a note", group="g", job_type="train", name="called so")
    run.define_metric("epoch")
    run.define_metric("acc", step_metric="epoch", summary="max")
    print("said on the console")
    for number, acc in enumerate([0.1, 0.9, 0.3, 0.2, 0.4]):
        run.log({"acc": acc, "epoch": number})
        time.sleep(0.7)
    run.log({"table": wandb.Table(columns=["a", "b"], data=[[1, "u"], [2, "z"]]), "html": wandb.Html("<p>hi</p>")})
    run.alert(title="watch", text="out", level=wandb.AlertLevel.WARN)
    os.makedirs("code", exist_ok=True)
    with open("code/step.py", "w") as file:
        file.write("x = 1")
    run.log_code("code")
    run.finish()

    run = wandb.Api().run(sys.argv[1] + "/rich")
    media = sorted(file.name for file in run.files() if file.name.startswith("media/"))
    table = next(name for name in media if name.endswith(".table.json"))
    html = next(name for name in media if name.endswith(".html"))
    system = run.history(stream="system", pandas=False)
    code = [artifact for artifact in run.logged_artifacts() if artifact.type == "code"]
    print(json.dumps({
        "summary": dict(run.summary["acc"]), "kind": run.summary["table"]["_type"],
        "table": json.load(run.file(table).download("got", replace=True))["data"],
        "html": "<p>hi</p>" in run.file(html).download("got", replace=True).read(),
        "console": run.file("output.log").download("got", replace=True).read().strip(),
        "system": any(key.startswith("system.") for row in system for key in row),
        "code": [sorted(entry for entry in artifact.manifest.entries) for artifact in code],
        "about": [run.name, run.group, run.job_type, run.notes, bool(getattr(run, "metadata", True))],
    }))
"""


@each_release()
def test_what_else_a_run_holds_is_read_back(program: Program, project: str, depot: DepotProcess) -> None:
    """Table, HTML, console, system metrics, a defined metric's summary, code, an alert, what is said of the run."""
    assert program(_RICH, project) == {
        "summary": {"max": 0.9},
        "kind": "table-file",
        "table": [[1, "u"], [2, "z"]],
        "html": True,
        "console": "said on the console",
        "system": True,
        "code": [["step.py"]],
        "about": ["called so", "g", "train", "a note", True],
    }
    with closing(sqlite3.connect(depot.data / "depot.sqlite")) as database:
        alerts = database.execute(
            "SELECT title, text, severity FROM alerts, runs, projects WHERE alerts.run_id = runs.id"
            " AND runs.project_id = projects.id AND projects.name = ?",
            (project,),
        ).fetchall()
    assert alerts == [("watch", "out", "WARN")]


_API = """
    import json, sys, wandb
    project = sys.argv[1]
    for name, lr in (("a", 0.1), ("b", 0.3), ("c", 0.2)):
        with wandb.init(project=project, id=name, config={"lr": lr}, tags=["kept" if lr > 0.1 else "other"]) as run:
            run.log({"loss": 1 - lr})
    api = wandb.Api()
    def found(**options):
        return [run.id for run in wandb.Api().runs(project, **options)]
    listed = {
        "all": sorted(found()),
        "config": found(filters={"config.lr": 0.3}),
        "ordered": found(filters={"config.lr": {"$gt": 0.15}}, order="-config.lr.value"),
        "summary": found(filters={"summary_metrics.loss": {"$lt": 0.85}}, order="+summary_metrics.loss"),
        "tags": sorted(found(filters={"tags": {"$in": ["kept"]}})),
        "or": sorted(found(filters={"$or": [{"name": "a"}, {"name": "b"}]})),
        "newest": found(order="-created_at"),
    }
    run = api.run(project + "/a")
    run.config["lr"] = 5
    run.tags.append("new")
    run.update()
    run.summary["extra"] = 7
    run.summary.update()
    with open("up.txt", "w") as file:
        file.write("up")
    run.upload_file("up.txt")
    run = wandb.Api().run(project + "/a")
    changed = [run.config["lr"], sorted(run.tags), run.summary["extra"], run.summary["loss"], run.state]
    names = [file.name for file in run.files()]
    run.file("up.txt").delete()
    left = [file.name for file in wandb.Api().run(project + "/a").files()]
    deleted = sorted(set(names) - set(left))
    rows = [[row["_step"], row["loss"]] for row in run.history(keys=["loss"], pandas=False)]
    run.delete()
    print(json.dumps([listed, changed, deleted, rows, sorted(found())]))
"""


@each_release()
def test_the_api_lists_changes_and_deletes_runs(program: Program, project: str) -> None:
    """Filters and orders; config, tags, summary, files; the run that was deleted is in no list."""
    listed = {"all": ["a", "b", "c"], "config": ["b"], "ordered": ["b", "c"], "summary": ["b", "c"],
              "tags": ["b", "c"], "or": ["a", "b"], "newest": ["c", "b", "a"]}  # fmt: skip
    changed = [5, ["new", "other"], 7, 0.9, "finished"]
    assert program(_API, project) == [listed, changed, ["up.txt"], [[0, 0.9]], ["b", "c"]]


_SWEEP = """
    import json, os, sys, time, wandb
    from wandb.agents import pyagent
    project = sys.argv[1]
    sweep = wandb.sweep({"method": "grid", "metric": {"name": "loss", "goal": "minimize"},
                         "parameters": {"lr": {"values": [1, 2, 3]}, "fixed": {"value": "x"}}}, project=project)
    tried = []
    def train():
        with wandb.init() as run:
            tried.append([run.config["lr"], run.config["fixed"]])
            run.log({"loss": 10 - run.config["lr"]})
    wandb.agent(sweep, function=train, project=project)
    found = wandb.Api().sweep(project + "/" + sweep)
    print(json.dumps({"tried": tried, "state": found.state, "expected": found.expected_run_count
                      if hasattr(found, "expected_run_count") else 3,
                      "runs": sorted(run.summary["loss"] for run in found.runs),
                      "best": found.best_run().summary["loss"],
                      "filtered": len(wandb.Api().runs(project, filters={"sweep": sweep}))}), flush=True)
    if hasattr(wandb, "teardown"):
        wandb.teardown()  # else the process behind the SDK keeps standard output open
    os._exit(0)  # the agent leaves threads behind, on which the interpreter may break down at its end
"""


@each_release(installed=True)
def test_an_agent_tries_what_a_sweep_proposes(program: Program, project: str) -> None:
    """Each point of a grid once; then the agent ends by itself, and the sweep names its runs and the best of them."""
    assert program(_SWEEP, project) == {
        "tried": [[1, "x"], [2, "x"], [3, "x"]],
        "state": "FINISHED",
        "expected": 3,
        "runs": [7, 8, 9],
        "best": 7,
        "filtered": 3,
    }


_PROGRAM_SWEEP = """
    import json, os, subprocess, sys, wandb
    project = sys.argv[1]
    os.environ.pop("WANDB_SERVICE", None)  # that of this process, which the agent would take for its own
    with open("train.py", "w") as file:
        file.write("import wandb\\nwith wandb.init() as run:\\n    run.log({'loss': run.config['lr']})\\n")
    sweep = wandb.sweep({"method": "grid", "metric": {"name": "loss", "goal": "minimize"}, "program": "train.py",
                         "command": [sys.executable, "${program}", "${args}"],
                         "parameters": {"lr": {"values": [4, 5]}}}, project=project)
    agent = [sys.executable, "-m", "wandb", "agent", "--count", "2", "--project", project, sweep]
    subprocess.run(agent, check=False, stdout=subprocess.DEVNULL)  # 0.31 sometimes aborts when all is done
    print(json.dumps(sorted(run.summary["loss"] for run in wandb.Api().sweep(project + "/" + sweep).runs)))
"""


@each_release(installed=True)
def test_an_agent_of_the_command_line_starts_the_program_that_the_sweep_names(program: Program, project: str) -> None:
    """`wandb agent` runs a command for each point."""
    assert program(_PROGRAM_SWEEP, project) == [4, 5]
