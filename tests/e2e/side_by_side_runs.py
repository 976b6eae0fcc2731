"""The runs that go side by side: a script that records them with the real SDK, and what kind each one is."""

from __future__ import annotations

# Each run's id names its kind. The script runs in an empty folder of its own; WANDB_PROJECT names the project.
SCRIPT = """
    import os, sys, time, wandb
    import numpy as np
    with wandb.init(id="silent", settings=wandb.Settings(console="off")) as run:
        for step in range(40):
            run.log({"loss": step / 3})

    with wandb.init(id="late", name="first name", tags=["one"], config={"a": 1, "gone": 2}) as run:
        run.log({"x": 1})
        run.name, run.tags, run.notes = "second name", ["one", "two"], "late notes"
        run.config.update({"a": 3, "b": {"c": [1, 2, {"d": None}]}}, allow_val_change=True)
        run.log({"x": 2})
        run.summary["best"] = {"x": 2, "deep": {"er": float("inf")}}
        print("\\x1b[31mred\\x1b[0m", "tabs\\tand ünïcode ☃ 鍵", end="\\n\\n")
        print("10%\\r50%\\r100%")

    with wandb.init(id="defined") as run:
        run.define_metric("epoch", hidden=True)
        run.define_metric("val/*", step_metric="epoch")
        run.define_metric("acc", summary="max,min")
        run.define_metric("odd", summary="none")
        for step in range(20):
            run.log({"epoch": step // 5, "val/loss": 20 - step, "acc": (step * 7) % 11, "odd": step})

    with wandb.init(id="odd-values", group="größe", job_type="eval") as run:
        run.log({"nan": float("nan"), "inf": float("inf"), "minus": float("-inf")})
        run.log({"big": 2**62, "tiny": 1e-320, "float": 1.0, "exp": 1e22, "none": None, "bool": True})
        run.log({"text": 'quo"ted \\\\ \\n line ☃', "dot.key": 1, "a": {"b": {"c": 1}, "list": [1, [2, {"e": 3}]]}})
        run.log({"skipped": 1}, step=10)
        run.log({"skipped": 2}, step=5)
        run.log({"html": wandb.Html("<p>hello</p>"), "hist": wandb.Histogram([1, 2, 3])})

    run = wandb.init(id="failed")
    run.log({"x": 1})
    run.finish(exit_code=3)

    piped = wandb.Settings(console="redirect", x_disable_stats=True)
    with wandb.init(id="emptied", tags=["one"], notes="some", settings=piped) as run:
        run.log({"x": 1})
        run.tags, run.notes = (), ""
        print("through a pipe", flush=True)

    # No more console from here on: what it holds is compared above, and it costs seconds.
    quiet = {"settings": wandb.Settings(console="off", x_disable_stats=True)}
    with wandb.init(id="empty", **quiet):
        pass

    with wandb.init(id="many-keys", **quiet) as run:
        for step in range(3):
            run.log({f"key/{number}": number + step for number in range(10_000)})

    with wandb.init(id="deep", **quiet) as run:
        value = 1
        for depth in range(400):
            value = {f"level {depth}": value, "beside": depth}
        run.log(value)
        run.log({"a.b": 1, "a": {"b": 2}, "": 3, "list": [[], {}, [{}]]})

    with wandb.init(id="huge-rows", **quiet) as run:
        for step in range(3):
            run.log({"text": chr(97 + step) * 4_000_000, "number": step})

    odd_names = {"name": "a/b: c ☃ %2F", "notes": "two\\nlines \\\\ \\u2028", "tags": ["a/b", "ö", "x y"]}
    with wandb.init(id="names", **odd_names, **quiet) as run:
        run.log({"slash/ed/name": 1, "with space": 2, "ünïcode ☃": 3, "100%": 4, "quo'te\\"": 5, "_hidden": 6})

    with wandb.init(id="table", **quiet) as run:
        run.log({"table": wandb.Table(columns=["a", "b ☃"], data=[[1, "x"], [None, "ü"], [2.5, ""]])})

    contents = {"a.gif": b"GIF89a", "b.mp4": b"no film", "c.pdb": b"ATOM", "d.wav": b"RIFF", "e.obj": b"v 0 0 0"}
    for name, content in contents.items():
        with open(name, "wb") as file:
            file.write(content * 100)
    with wandb.init(id="media", **quiet) as run:
        run.log({"film": wandb.Video("b.mp4"), "page": wandb.Html("<b>x</b>"), "molecule": wandb.Molecule("c.pdb")})
        run.log({"pages": [wandb.Html("<i>1</i>"), wandb.Html("<i>2</i>")]})
        pixels = np.arange(300, dtype="uint8").reshape(10, 10, 3)
        boxes = {"p": {"box_data": [{"position": {"minX": 0, "maxX": 1, "minY": 0, "maxY": 1}, "class_id": 1}]}}
        masks = {"m": {"mask_data": np.ones((10, 10), dtype=int), "class_labels": {1: "one"}}}
        run.log({"picture": wandb.Image(pixels, caption="ö", boxes=boxes, masks=masks)})
        run.log({"deep/pictures": [wandb.Image(pixels), wandb.Image(pixels[:5])]})
        run.log({"sound": wandb.Audio("d.wav", caption="hum"), "cloud": wandb.Object3D(np.zeros((5, 3)))})
        run.log({"shape": wandb.Object3D("e.obj"), "bars": wandb.Histogram(np.arange(9))})
        chart = wandb.plot.line_series(xs=[1, 2], ys=[[1, 2], [3, 4]], keys=["a", "b"], title="t")
        run.log({"chart": chart, "rows": wandb.Table(columns=["i"], data=[[wandb.Image(pixels)]])})
        growing = wandb.Table(columns=["a"], log_mode="INCREMENTAL")
        for number in range(2):
            growing.add_data(number)
            run.log({"growing": growing})

    with wandb.init(id="artifact", **quiet) as run:
        data = wandb.Artifact("data", "dataset", description="words ☃", metadata={"k": [1, {"deep": None}]})
        for path in ("dir/a.txt", "b ö.txt"):
            with data.new_file(path) as file:
                file.write(path * 50)
        run.log_artifact(data, aliases=["best", "v-one"])
        same = wandb.Artifact("same", "dataset")
        with same.new_file("copy.txt") as file:
            file.write("dir/a.txt" * 50)
        run.log_artifact(same)
        run.log({"x": 1})

    with wandb.init(id="reference", **quiet) as run:
        elsewhere = wandb.Artifact("elsewhere", "dataset")
        elsewhere.add_reference("https://nowhere.invalid/set", name="set", checksum=False)
        run.log_artifact(elsewhere)
        run.log({"x": 1})

    os.makedirs("out/deep")
    for path in ("out/a.txt", "out/deep/b ☃.txt", "out/empty.txt", "out/later.txt"):
        with open(path, "w") as file:
            file.write("" if "empty" in path else path * 100)
    with wandb.init(id="saved", **quiet) as run:
        run.save("out/*", base_path=".", policy="end")
        run.save("out/deep/*", base_path=".", policy="now")
        run.save("out/later.txt", base_path=".", policy="live")
        run.log({"x": 1})

    os.makedirs("tree/deep")
    for path in ("tree/a.bin", "tree/deep/b.bin"):
        with open(path, "wb") as file:
            file.write(path.encode() * 99)
    with wandb.init(id="artifacts", **quiet) as run:
        whole = wandb.Artifact("tree", "dataset", metadata={"nan": float("nan"), "list": [1, "☃"]})
        whole.add_dir("tree")
        whole.add_reference("file://" + os.path.abspath("tree/a.bin"), name="linked")
        run.log_artifact(whole, aliases=["first", "ö"], tags=["tagged", "twice"])
        again = wandb.Artifact("tree", "dataset", description="less")
        again.add_file("tree/a.bin", name="renamed.bin")
        run.log_artifact(again)
        more = wandb.Artifact("growing", "dataset", incremental=True)
        more.add_file("tree/deep/b.bin")
        run.log_artifact(more)
        for part in ("tree/a.bin", "tree/deep/b.bin"):
            shared = wandb.Artifact("shared", "model")
            shared.add_file(part)
            run.upsert_artifact(shared, distributed_id="together")
        run.finish_artifact(wandb.Artifact("shared", "model"), distributed_id="together")
        run.log_model("tree/a.bin", name="a-model")
        table = wandb.Artifact("tables", "dataset")
        left, right = (wandb.Table(columns=["key", name], data=[[1, name]]) for name in ("l", "r"))
        table.add(left, "left")
        table.add(right, "right")
        table.add(wandb.JoinedTable(left, right, "key"), "joined")
        run.log_artifact(table)
        run.log({"x": 1})

    with open("train.py", "w") as file:
        file.write("print('this trains')\\n")
    with wandb.init(id="code", **quiet) as run:
        run.log_code(".", name="my-code")
        run.log({"x": 1})

    with wandb.init(id="same-step", **quiet) as run:
        for step in range(30):
            run.log({"a": step}, commit=False)
            run.log({"b": step, "a": -step})
        run.log({"last": 1}, commit=False)

    for part in range(2):
        time.sleep(1.1 * part)  # Two parts of one second would get one folder.
        config = {"every": part, f"of {part}": {"a": [part]}}
        own = {"settings": wandb.Settings(console="off", x_disable_stats=True)}  # The SDK writes `resume` into them.
        with wandb.init(id="resumed", resume="allow", tags=["first"][part:], config=config, **own) as run:
            for step in range(10):
                run.log({"loss": step - 10 * part, f"part {part}": step})
            if part:
                del run.summary["taken back"]
                run.summary["set to nothing"] = None
            else:
                run.summary.update({"taken back": 1, "set to nothing": 1})

    config = {"nan": float("nan"), "deep": {"er": [1, {"x": None}]}, "ö.x": True, "big": 2**60, "tuple": (1, 2), "": ""}
    with wandb.init(id="config", config=config, **quiet) as run:
        run.config.later = {"a": 1}
        run.config.update({"deep": {"er": "replaced"}}, allow_val_change=True)
        run.log({"x": 1})

    with wandb.init(id="summary", **quiet) as run:
        run.log({"x": 5, "n": {"a": 1, "b": 2}})
        run.log({"n": {"a": 3}})
        run.summary.update({"x": 1, "own": {"nested": [1, 2]}, "n": {"b": 9}})
        run.summary["unset"] = None
        del run.summary["x"]

    with wandb.init(id="rewritten-summary", **quiet) as run:
        run.log({"logged": {"a": {"b": 1}, "a.b": 2}})
        run.log({"logged": 5})
        run.log({"logged": {"c": 6}})
        run.summary["set"] = {"deep": {"kept": 1, "removed": 2}}
        run.summary["set"]["deep"]["added"] = 3
        del run.summary["set"]["deep"]["removed"]

    with wandb.init(id="long", **quiet) as run:
        for step in range(5000):
            run.log({"loss": 1 / (step + 1), "epoch": step // 100})

    with wandb.init(id="alerting", **quiet) as run:
        run.alert("title ☃", "text", level="WARN", wait_duration=0)
        run.log({"x": 1})

    with wandb.init(id="preempted", **quiet) as run:
        run.mark_preempting()
        run.log({"x": 1})

    with wandb.init(id="steps", **quiet) as run:
        run.define_metric("own", step_metric="at", summary="max,last")
        run.define_metric("*", step_metric="at", summary="last")
        for step in range(0, 1000, 37):
            run.log({"at": step * 1e9, "own": step % 5, "other": -step}, step=step)

    with wandb.init(id="text", **quiet) as run:
        for step in range(10):
            words = "line\\nline\\ttab \\u0000 \\ud83d\\ude00 \\u2028" + "é" * step
            run.log({"words": words, "list": ["a", None, True, 1.5]})

    with wandb.init(id="forked", fork_from="silent?_step=3", **quiet) as run:
        for step in range(5):
            run.log({"loss": -step})
"""

PRINTING = ["silent", "late", "defined", "odd-values", "failed"]
QUIET = [
    "empty", "many-keys", "deep", "huge-rows", "names", "table", "media", "artifact", "reference", "saved", "code",
    "artifacts", "same-step", "resumed", "config", "summary", "long", "alerting", "preempted", "steps", "text",
    "forked",
]  # fmt: skip
WITH_ARTIFACTS = ["table", "media", "artifact", "artifacts", "reference", "code"]
