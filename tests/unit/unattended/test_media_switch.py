"""The switch that has a running job link its media files: what a job's Python makes of it, and that it does no harm."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from backhaul.unattended.media_switch import MediaSwitch

_CLEAN = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "BACKHAUL_LINK_MEDIA")}


@pytest.fixture
def switch() -> Iterator[MediaSwitch]:
    """A switch, and what a job has of it in its environment."""
    made = MediaSwitch.make()
    yield made
    made.remove()


def _python(switch: MediaSwitch | None, script: str, **env: str) -> tuple[str, str, int]:
    """What a Python says, with the switch or without any."""
    whole: Mapping[str, str] = _CLEAN | env
    whole = whole if switch is None else switch.environment(whole)
    done = subprocess.run([sys.executable, "-c", script], env=whole, capture_output=True, text=True, check=False)
    return done.stdout, done.stderr, done.returncode


def _module(folder: Path, name: str, text: str) -> Path:
    """A module or package member `name` in `folder`, which is then on the path."""
    place = folder.joinpath(*name.split(".")).with_suffix(".py")
    place.parent.mkdir(parents=True, exist_ok=True)
    for package in name.split(".")[:-1]:
        folder_of_it = next(each for each in place.parents if each.name == package)
        (folder_of_it / "__init__.py").touch()
    place.write_text(text)
    return folder


def test_a_job_sees_the_same_modules_and_the_same_path(switch: MediaSwitch) -> None:
    """What we put there is gone from the path when its own code begins, with nothing of ours in its way."""
    script = "import sys; print(sys.path)"
    assert _python(switch, script) == _python(None, script)
    elsewhere = {"PYTHONPATH": os.pathsep.join(["/somewhere", "/else"])}
    assert _python(switch, script, **elsewhere) == _python(None, script, **elsewhere)


def test_the_sitecustomize_that_there_would_be_is_run(switch: MediaSwitch, tmp_path: Path) -> None:
    """And it is the module of that name."""
    path = _module(tmp_path, "sitecustomize", "print('theirs')")
    script = "import sitecustomize; print(sitecustomize.__file__)"
    said = _python(switch, script, PYTHONPATH=str(path))
    assert said == _python(None, script, PYTHONPATH=str(path))
    assert said[0].startswith("theirs\n")


@pytest.mark.parametrize("text", ["raise OSError('broken')", "import no_such_module", "raise SystemExit(7)"])
def test_a_broken_one_fails_as_it_would_without_us(switch: MediaSwitch, tmp_path: Path, text: str) -> None:
    """Python tells the error, or ends; the lines of a traceback are all that is different."""
    path = _module(tmp_path, "sitecustomize", text)
    out, told, code = _python(switch, "print('goes on')", PYTHONPATH=str(path))
    ours, theirs = (out, told.splitlines()[-2:], code), _python(None, "print('goes on')", PYTHONPATH=str(path))
    assert ours == (theirs[0], theirs[1].splitlines()[-2:], theirs[2])


def test_the_places_are_those_of_the_sdk(switch: MediaSwitch) -> None:
    """Both decide there whether to link, by the run's setting as it then is."""
    script = """
import inspect
from wandb.sdk.data_types.base_types.media import Media
from wandb.sdk.data_types.eval_table import _media_ces
for function in Media.bind_to_run, _media_ces._place_media_file_in_run:
    print("allow_media_symlink" in inspect.getsource(function), hasattr(function, "__wrapped__"))
"""
    assert _python(switch, script) == ("True True\n" * 2, "", 0)


def test_a_module_that_is_not_what_we_know_is_left_as_it_is(switch: MediaSwitch, tmp_path: Path) -> None:
    """A release without the class, one that cannot be imported, and a run without the setting."""
    name = "wandb.sdk.data_types.base_types.media"
    path = str(_module(tmp_path / "other", name, "x = 1"))
    assert _python(switch, f"import {name} as media; print(media.x)", PYTHONPATH=path) == ("1\n", "", 0)
    path = str(_module(tmp_path / "broken", name, "raise ValueError('theirs')"))
    assert "ValueError: theirs" in _python(switch, f"import {name}", PYTHONPATH=path)[1]
    older = "class Media:\n    def bind_to_run(self, run, key):\n        return key\n"
    path = str(_module(tmp_path / "older", name, older))
    switch.link("/disk")
    script = f"from {name} import Media; print(Media().bind_to_run(object(), 'a'), Media().bind_to_run(run=1, key='b'))"
    assert _python(switch, script, PYTHONPATH=path) == ("a b\n", "", 0)


def test_a_run_that_links_by_itself_goes_on_linking(switch: MediaSwitch, tmp_path: Path) -> None:
    """Only what was switched on here is switched off here."""
    name = "wandb.sdk.data_types.base_types.media"
    telling = "class Media:\n    def bind_to_run(self, run):\n        print(run._settings.allow_media_symlink)\n"
    script = f"""
import os
from types import SimpleNamespace
from {name} import Media
class Run:
    def __init__(self, links):
        self._settings = SimpleNamespace(allow_media_symlink=links)
runs = Run(True), Run(False)
def log():
    for run in runs:
        Media().bind_to_run(run)
flag = os.environ["BACKHAUL_LINK_MEDIA"]
log()
open(flag, "w").close()
log()
os.remove(flag)
log()
"""
    said, told, _ = _python(switch, script, PYTHONPATH=str(_module(tmp_path, name, telling)))
    assert (said.split(), told) == (["True", "False", "True", "True", "True", "False"], "")


def test_media_are_linked_while_any_disk_is_full(switch: MediaSwitch) -> None:
    """The last one that has room again ends it."""
    flag = Path(switch.environment({})["BACKHAUL_LINK_MEDIA"])
    seen = [flag.exists()]
    for change, disk in ((switch.link, "a"), (switch.link, "b"), (switch.copy, "a"), (switch.copy, "b")):
        change(disk)
        seen.append(flag.exists())
    assert seen == [False, True, True, True, False]
    switch.remove()
    assert not switch.folder.exists()
