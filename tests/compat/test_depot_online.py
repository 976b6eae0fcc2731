"""The unmodified SDK logs to the depot and reads back what it logged."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conftest import RunScript

_LOG = """
    import wandb
    config = {{"lr": 0.1, "deep": {{"a": [1, 2], "b": None}}, "ü": "✓"}}
    run = wandb.init(project="{project}", id="online", config=config, tags=["one", "two"],
                     notes="a\\nnote", group="g", job_type="train", name="my run")
    for step in range(1500):
        run.log({{"loss": 1 / (step + 1), "nan": float("nan"), "inf": float("-inf"), "deep": {{"x": step}},
                 "text": "ü ✓ \\u2028", "a.b": step * 2}})
    with open("saved ü.txt", "w") as file:
        file.write("content\\n" * 1000)
    run.save("saved ü.txt", policy="now")
    print("printed line")
    run.summary["best"] = {{"value": 7}}
    run.finish()
"""

_READ = """
    import json, math, wandb
    run = wandb.Api().run("{project}/online")
    def plain(value):
        if isinstance(value, float) and not math.isfinite(value):
            return repr(value)
        if hasattr(value, "items"):
            return {{key: plain(item) for key, item in value.items()}}
        return [plain(item) for item in value] if isinstance(value, list) else value
    print(json.dumps({{
        "state": run.state, "name": run.name, "config": run.config, "tags": run.tags, "notes": run.notes,
        "group": run.group, "job_type": run.job_type, "summary": plain(dict(run.summary)),
        "history": plain(run.history(pandas=False)), "keyed": plain(run.history(keys=["loss", "deep.x"], pandas=False)),
        "scan": plain(list(run.scan_history())), "scan_keyed": plain(list(run.scan_history(keys=["a.b", "_step"]))),
        "window": plain(list(run.scan_history(min_step=700, max_step=710))), "last": run.lastHistoryStep,
        "files": {{file.name: [file.size, file.md5] for file in run.files()}},
        "saved": run.file("saved ü.txt").download("got", replace=True).read(),
        "metadata": run.metadata["host"], "user": run.user.username,
        "log": run.file("output.log").download("got", replace=True).read(),
        "runs": [[each.id, each.name] for each in wandb.Api().runs("{project}", filters={{"config.lr": 0.1}})],
    }}))
"""


def _logged(step: int) -> dict[str, Any]:
    return {
        "_step": step,
        "loss": 1 / (step + 1),
        "nan": "nan",
        "inf": "-inf",
        "deep": {"x": step},
        "text": "ü ✓ \u2028",
        "a.b": step * 2,
    }


def _without_clock(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("_timestamp", "_runtime")}


def test_what_the_sdk_logs_online_the_api_reads_back(sdk: RunScript, project: str) -> None:
    """Every row, NaN and infinities, nested values, unicode, config, summary, files, console."""
    sdk(_LOG.format(project=project))
    found = sdk(_READ.format(project=project))
    assert [_without_clock(row) for row in found["scan"]] == [_logged(step) for step in range(1500)]
    sampled = [_without_clock(row) for row in found["history"]]
    assert len(sampled) == 500
    assert all(row == _logged(row["_step"]) for row in sampled)
    assert all(
        row == {"_step": row["_step"], "loss": 1 / (row["_step"] + 1), "deep.x": row["_step"]} for row in found["keyed"]
    )
    assert found["scan_keyed"] == [{"_step": step, "a.b": step * 2} for step in range(1500)]
    assert [row["_step"] for row in found["window"]] == list(range(700, 710))
    assert found["last"] == 1499
    assert found["config"] == {"lr": 0.1, "deep": {"a": [1, 2], "b": None}, "ü": "✓"}
    assert (found["state"], found["name"], found["tags"]) == ("finished", "my run", ["one", "two"])
    assert (found["notes"], found["group"], found["job_type"], found["user"]) == ("a\nnote", "g", "train", "tester")
    summary = {key: value for key, value in found["summary"].items() if key in ("best", "nan", "inf", "deep", "_step")}
    assert summary == {"best": {"value": 7}, "nan": "nan", "inf": "-inf", "deep": {"x": 1499}, "_step": 1499}
    content = "content\n" * 1000
    assert found["saved"] == content
    md5 = base64.b64encode(hashlib.md5(content.encode()).digest()).decode()
    assert found["files"]["saved ü.txt"] == [len(content), md5]
    assert {"config.yaml", "wandb-metadata.json", "wandb-summary.json", "output.log"} <= set(found["files"])
    assert "printed line" in found["log"]
    assert found["metadata"]
    assert found["runs"] == [["online", "my run"]]


def test_a_resumed_run_goes_on_where_it_was(sdk: RunScript, project: str) -> None:
    """`resume="must"` finds the run, its next step and its config; no row is lost or doubled."""
    script = """
        import wandb
        run = wandb.init(project="{project}", id="again", resume="{resume}", config={config})
        for value in {values}:
            run.log({{"value": value}})
        print(run.resumed)
        run.finish()
    """
    sdk(script.format(project=project, resume="allow", config={"first": 1}, values=[0, 1, 2]))
    sdk(script.format(project=project, resume="must", config={"second": 2}, values=[3, 4]))
    sdk(script.format(project=project, resume="allow", config={}, values=[5]))
    found = sdk(f"""
        import json, wandb
        run = wandb.Api().run("{project}/again")
        rows = [[row["_step"], row["value"]] for row in run.scan_history()]
        print(json.dumps({{"rows": rows, "config": run.config, "state": run.state, "summary": run.summary["value"]}}))
    """)
    assert found["rows"] == [[step, step] for step in range(6)]
    assert (found["config"], found["state"], found["summary"]) == ({"first": 1, "second": 2}, "finished", 5)


def test_resuming_what_there_is_not_fails_as_the_sdk_says(sdk: RunScript, project: str) -> None:
    """`resume="must"` on an unknown id is an error of the SDK's own, not a new run."""
    found = sdk(f"""
        import json, wandb
        try:
            wandb.init(project="{project}", id="nobody", resume="must")
            print(json.dumps(["started"]))
        except wandb.errors.UsageError as error:
            print(json.dumps([str(error)]))
    """)
    assert "resume" in found[0]


def test_a_failed_script_leaves_a_failed_run(sdk: RunScript, project: str) -> None:
    """The exit code that the SDK reports decides the state."""
    sdk(f'import wandb; run = wandb.init(project="{project}", id="bad"); run.log({{"x": 1}}); run.finish(exit_code=3)')
    assert sdk(f'import wandb; print(wandb.Api().run("{project}/bad").state)') == "failed"


def test_the_api_changes_and_deletes_runs(sdk: RunScript, project: str) -> None:
    """Config, tags, summary, an uploaded file, a deleted file, a deleted run; the state stays finished."""
    found = sdk(f"""
        import json, wandb
        with wandb.init(project="{project}", id="edit", config={{"lr": 1}}) as run:
            run.log({{"x": 1}})
        run = wandb.Api().run("{project}/edit")
        run.config["lr"] = 2
        run.tags.append("new")
        run.update()
        run.summary["extra"] = 5
        run.summary.update()
        with open("up.txt", "w") as file:
            file.write("up")
        run.upload_file("up.txt")
        run = wandb.Api().run("{project}/edit")
        before = sorted(file.name for file in run.files())
        run.file("up.txt").delete()
        after = sorted(file.name for file in wandb.Api().run("{project}/edit").files())
        result = [run.state, run.config, list(run.tags), run.summary["extra"], sorted(set(before) - set(after))]
        run.delete()
        result.append(len(wandb.Api().runs("{project}")))
        print(json.dumps(result))
    """)
    assert found == ["finished", {"lr": 2}, ["new"], 5, ["up.txt"], 0]


def test_a_wrong_key_is_told_at_once(sdk: RunScript, project: str) -> None:
    """Login with a key that is not the depot's fails; nothing waits."""
    found = sdk(
        f"""
        import json, wandb
        try:
            wandb.init(project="{project}", settings=wandb.Settings(init_timeout=20))
            print(json.dumps(["started"]))
        except (wandb.errors.AuthenticationError, wandb.errors.CommError, wandb.errors.UsageError) as error:
            print(json.dumps([str(error)]))
        """,
        WANDB_API_KEY="0" * 40,
    )
    assert found != ["started"]
