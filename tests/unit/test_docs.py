"""The documentation agrees with the code, and the check that says so can fail."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_COMMANDS = "docs/reference/commands.md"
_SETTINGS = "docs/reference/settings.md"


@pytest.fixture(scope="module")
def check_docs() -> ModuleType:
    sys.path.insert(0, str(_ROOT / "scripts"))  # as for the script, whose neighbours are its modules
    spec = importlib.util.spec_from_file_location("check_docs", _ROOT / "scripts" / "check_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def texts(check_docs: ModuleType, tmp_path: Path) -> Path:
    """A copy of the project's texts, to be broken. What they link to is there as empty files."""
    for path in check_docs.texts(_ROOT):
        copy = tmp_path / path.relative_to(_ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    for path in [*_ROOT.iterdir(), *(_ROOT / "src").rglob("*"), *(_ROOT / "scripts").iterdir()]:
        copy = tmp_path / path.relative_to(_ROOT)
        if path.is_file() and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.touch()
    return tmp_path


def _replace(page: str, old: str, new: str) -> Callable[[Path], None]:
    def breaking(root: Path) -> None:
        text = (root / page).read_text(encoding="utf-8")
        assert old in text
        (root / page).write_text(text.replace(old, new), encoding="utf-8")

    return breaking


def _append(page: str, more: str) -> Callable[[Path], None]:
    def breaking(root: Path) -> None:
        with (root / page).open("a", encoding="utf-8") as file:
            file.write(f"\n{more}\n")

    return breaking


def _remove(page: str) -> Callable[[Path], None]:
    return lambda root: (root / page).unlink()


def test_documentation_agrees_with_the_code(check_docs: ModuleType) -> None:
    """Commands, options, errors, exit codes, JSON keys, links and examples in the texts are those of the code."""
    assert check_docs.check(_ROOT) == []


@pytest.mark.parametrize(
    ("breaking", "problem"),
    [
        (_replace("docs/reference/commands.md", "`--deadline SECONDS`", "`--dead-line SECONDS`"), "--deadline, which"),
        (
            _replace("docs/reference/commands.md", "`--deadline SECONDS`", "`--dead-line SECONDS`"),
            "--dead-line is told",
        ),
        (_replace("docs/reference/commands.md", "## `backhaul sync`", "## `backhaul fetch`"), "`backhaul sync` has no"),
        (
            _replace("docs/reference/commands.md", "## `backhaul sync`", "## `backhaul fetch`"),
            "no command `backhaul fe",
        ),
        (_remove("docs/errors/timed-out.md"), "timed-out has no page"),
        (_append("docs/errors/gone.md", "Exit code: 5"), "docs/errors/gone.md: there is no such error"),
        (_replace("docs/errors/timed-out.md", "Exit code: 5", "Exit code: 7"), "timed-out.md: the exit code is 5"),
        (_replace("docs/errors/timed-out.md", "errors.TimedOut", "errors.Late"), "the class TimedOut is not told"),
        (_replace("docs/errors/index.md", "(timed-out.md)", "(temporary.md)"), "timed-out is not listed"),
        (_replace("README.md", "| 10 |", "| 11 |"), "README.md: no error has the exit code 11"),
        (_replace("README.md", "| 10 |", "| 9 |"), "README.md: the exit code 10 is not told"),
        (_replace("docs/reference/json.md", "`quarantined`", "quarantined"), "the key quarantined is not told"),
        (_replace(_COMMANDS, "`--deadline SECONDS`", "`--deadline MINUTES`"), "SECONDS follows it, told is MINUTES"),
        (_replace(_COMMANDS, "; 900 by default", ""), "`backhaul sync` --dead-after: its default 900 is not told"),
        (_replace(_COMMANDS, "`USR1` by default", "by default"), "`backhaul run` --drain-on: its default USR1 is not"),
        (_replace(_COMMANDS, "`link-media`, `signal`", "`signal`"), "`backhaul run` --on-disk: link-media is not told"),
        (
            _replace(_COMMANDS, "    backhaul show [OPTIONS] PATH", "    backhaul show [OPTIONS]"),
            "`backhaul show`: the line of use does not name PATH",
        ),
        (_replace(_SETTINGS, "`BACKHAUL_QUEUE`", "the queue's"), "settings.md: BACKHAUL_QUEUE is not told"),
        (_replace(_SETTINGS, "`WANDB_MODE`", "`WANDB_MOOD`"), "settings.md: WANDB_MODE is not told"),
        (_replace(_SETTINGS, "`WANDB_MODE`", "`WANDB_MOOD`"), "settings.md: nothing reads WANDB_MOOD"),
        (
            _replace("docs/reference/exit-codes.md", "(../errors/timed-out.md)", ""),
            "timed-out ends with 5, which is not",
        ),
        (_replace("docs/reference/exit-codes.md", "errors/deadline", "errors/usage"), "usage does not end with 8"),
        (
            _replace("docs/errors/index.md", "## Exit code 8", "## Exit code 9"),
            "index.md: deadline does not end with 9",
        ),
        (_replace("docs/reference/json.md", "| `freed` |", "| `saved` |"), "json.md: nothing writes the key saved"),
        (_remove("docs/errors/log-torn.md"), "log-torn has no page"),
        (_replace("docs/errors/log-torn.md", "Severity: warning", "Severity: note"), "the severity is warning"),
        (_replace("docs/errors/index.md", "(log-torn.md) | warning", "(log-torn.md) | note"), "log-torn is not listed"),
        (_replace("docs/troubleshooting.md", "(F17)", "(F71)"), "F17 is not told"),
        (_replace("docs/errors/empty-log.md", "has a header", "has some"), "empty-log.md: its messages are not those"),
        (_replace("docs/errors/no-runs.md", "folder of your project", "folder"), "no-runs.md: nobody who searches"),
        (_replace("docs/troubleshooting.md", "(errors/lock-held.md)", ""), "the finding lock-held is not told"),
        (_append("docs/how-to/cron.md", "```sh\nsudo true\n```"), "before `sudo true` has to stand"),
        (_append("README.md", "Then `backhaul fetch wandb`."), "fetch is no command"),
        (_append("README.md", "```\n$ FOO=1 backhaul sync wandb --all | less\n```"), "No such option '--all'"),
        (_append("README.md", "Then `backhaul depot key --port 1`."), "No such option '--port'"),
        (_append("README.md", "Then `backhaul sync --entity`."), "requires an argument"),
        (_append("README.md", "[there](docs/nowhere.md)"), "docs/nowhere.md leads nowhere"),
        (_append("README.md", "[there](docs/glossary.md#no-such-word)"), "names a heading that is not there"),
        (_append("README.md", f"See {_ROOT}/README.md"), "is a path of one machine"),
        (_append("README.md", "See /" + "home/eve/wandb"), "is a path of one machine"),
        (_append("changelog.d/new.md", "- A change."), "new.md: a fragment is named"),
        (_append("changelog.d/new.fixed.md", "A change without a bullet."), "new.fixed.md: a fragment is a list"),
    ],
)
def test_a_text_that_disagrees_is_told(
    check_docs: ModuleType, texts: Path, breaking: Callable[[Path], None], problem: str
) -> None:
    """Each kind of disagreement between texts and code is found and named."""
    assert check_docs.check(texts) == []
    breaking(texts)
    assert any(problem in told for told in check_docs.check(texts)), check_docs.check(texts)


def test_every_test_that_the_comparison_names_is_there() -> None:
    """A row of the comparison with `wandb sync` is worth its test: the module is named before the table, or with it."""
    module, named = "", 0
    for line in (_ROOT / "docs" / "reference" / "beside-wandb-sync.md").read_text().splitlines():
        module = "".join(re.findall(r"^In `(tests/[^`]+)`", line)) or module
        for path, name in re.findall(r"`(?:(tests/[^`:]+)::)?(test_\w+)` \|$", line):
            named += 1
            assert f"def {name}(" in (_ROOT / (path or module)).read_text(), line
    assert named > 20


@pytest.fixture(scope="module")
def messages(check_docs: ModuleType) -> dict[str, frozenset[str]]:
    """What `scripts/messages.py`, its neighbour, reads out of the code."""
    found: dict[str, frozenset[str]] = sys.modules[check_docs.check_messages.__module__].messages()
    return found


def test_messages_are_read_out_of_the_code_with_what_differs_left_out(messages: dict[str, frozenset[str]]) -> None:
    """Of errors and findings: written as one text, put together, given to a function, returned by one, in a table."""
    assert "… is empty (… bytes): no record of this run reached the disk." in messages["empty-log"]
    assert "The ledger … cannot be written: …." in messages["disk-full"] & messages["ledger-unwritable"]
    assert "A tag has … characters; a server takes 1 to 64." in messages["metadata-refused"]
    assert "No offline run was found under …." in messages["no-runs"]
    assert "Connecting to … took too long" in messages["timed-out"]
    assert "The server does not have all of this run." in messages["remote-less"]
    assert "Sending lines of … failed: …" in messages["doing"]
