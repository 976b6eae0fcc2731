"""Holds the pages of docs/reference against the code: commands, settings, exit codes, JSON documents.

`scripts/check_docs.py` runs it. Each function gives a sentence for each difference, in both directions: what the code
has and the page does not tell, and what the page tells and the code has not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

import backhaul
from backhaul import errors
from backhaul.cli.main import cli
from backhaul.doctor.finding import Finding
from backhaul.sync.outcome import Outcome, Quarantined

_SOURCE = Path(backhaul.__file__).parent
_HELP = frozenset({"-h", "--help"})

_OPTION = re.compile(r"(?<![\w-])-{1,2}[a-zA-Z][\w-]*")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_EXIT_ROW = re.compile(r"^\| (\d+(?:, \d+)*) \|(.*)$", re.MULTILINE)
_VARIABLE = re.compile(r"(?:WANDB|BACKHAUL|XDG|SLURM)_[A-Z0-9_]+[A-Z0-9]")
_NAME = re.compile(r"[A-Z][A-Z0-9_]+")
# What libraries of ours read.
_BY_LIBRARIES = frozenset({"HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "TMPDIR"})
# Sets variables for an SDK that it starts; they are no settings of ours.
_SETS_FOR_OTHERS = "demo_runs.py"


def check_reference(root: Path) -> Iterator[str]:
    """Every difference between the reference under `root` and the code."""
    yield from _check_commands(root)
    yield from _check_settings(root)
    yield from _check_exit_codes(root)
    yield from _check_json(root)


def error_classes(kind: type[errors.BackhaulError] = errors.BackhaulError) -> Iterator[type[errors.BackhaulError]]:
    """The tree of errors, from its root on."""
    yield kind
    for below in kind.__subclasses__():
        yield from error_classes(below)


def inline_codes(text: str) -> list[str]:
    """What stands in single backticks."""
    return _INLINE.findall(text)


def _check_commands(root: Path) -> Iterator[str]:
    page = "docs/reference/commands.md"
    sections = _sections((root / page).read_text(encoding="utf-8"))
    known = dict(_commands(cli, "backhaul"))
    for path, command in known.items():
        if path not in sections:
            yield f"{page}: `{path}` has no section"
            continue
        rows = [line for line in sections[path].splitlines() if line.startswith("| `-")]
        wanted = {name for option in _shown(command) for name in (*option.opts, *option.secondary_opts)} - _HELP
        told = {name for row in rows for name in _OPTION.findall(row.split("|")[1])} - _HELP
        yield from (f"{page}: `{path}` has {option}, which is not told" for option in sorted(wanted - told))
        yield from (f"{page}: {option} is told of `{path}`, which has none" for option in sorted(told - wanted))
        for option in _shown(command):
            row = "".join(row for row in rows if option.opts[-1] in _OPTION.findall(row.split("|")[1]))
            yield from (f"{page}: `{path}` {option.opts[-1]}: {problem}" for problem in _problems(option, row) if row)
        yield from (f"{page}: `{path}`: {problem}" for problem in _check_usage(path, command, sections[path]))
    yield from (f"{page}: there is no command `{path}`" for path in sections if path not in known)


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _commands(below, f"{path} {name}")


def _shown(command: click.Command) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option) and not param.hidden]


def _sections(text: str) -> dict[str, str]:
    """The text below each heading that names a command."""
    parts = re.split(r"^#{1,3} `?(backhaul[^`\n]*)`?$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _problems(option: click.Option, row: str) -> Iterator[str]:
    """What the row of an option says otherwise than the program: what follows it, its choices, its default."""
    if option.is_flag:
        return
    told = [word for each in re.findall(rf"{re.escape(option.opts[-1])} ([^`]+)`", row) for word in each.split("\\|")]
    if isinstance(option.type, click.Choice):
        yield from (f"{choice} is not told" for choice in option.type.choices if str(choice) not in row)
    elif sorted(told) != sorted((option.metavar or "").split("|")):
        yield f"{option.metavar} follows it, told is {' and '.join(told) or 'nothing'}"
    for default in option.default if isinstance(option.default, (tuple, list)) else [option.default]:
        if isinstance(default, (int, float, str)) and not re.search(rf"(?<![\w.]){re.escape(_plain(default))}\b", row):
            yield f"its default {_plain(default)} is not told"


def _plain(default: float | str) -> str:
    return default if isinstance(default, str) else f"{default:g}"


def _check_usage(path: str, command: click.Command, section: str) -> Iterator[str]:
    """The line of use names each argument; where an argument is one of several words, the section has all of them."""
    usage = " ".join(re.findall(rf"^    {path} (.+)$", section, flags=re.MULTILINE))
    for argument in (param for param in command.params if isinstance(param, click.Argument)):
        if isinstance(argument.type, click.Choice):
            yield from (f"{word} is not told" for word in argument.type.choices if str(word) not in section)
        elif not set(_NAME.findall(argument.metavar or str(argument.name).upper())) <= set(_NAME.findall(usage)):
            yield f"the line of use does not name {argument.human_readable_name}"


@cache
def _texts_of_the_code() -> dict[Path, frozenset[str]]:
    """All texts, and all names of fields, of each module of the client side."""
    modules = [path for path in _SOURCE.rglob("*.py") if "depot" not in path.relative_to(_SOURCE).parts]
    return {path: frozenset(_texts(ast.parse(path.read_text(encoding="utf-8")))) for path in modules}


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def _check_settings(root: Path) -> Iterator[str]:
    page = "docs/reference/settings.md"
    text = (root / page).read_text(encoding="utf-8")
    told = {code for line in text.splitlines() if line.startswith("| `") for code in inline_codes(line.split("|")[1])}
    texts = _texts_of_the_code()
    read = {each for path, found in texts.items() if path.name != _SETS_FOR_OTHERS for each in found}
    variables = {each for each in read if _VARIABLE.fullmatch(each)}
    yield from (f"{page}: {name} is not told" for name in sorted(variables - told))
    yield from (f"{page}: nothing reads {name}" for name in sorted(told) if not _is_read(name, read))


def _is_read(name: str, read: set[str]) -> bool:
    """Whether the code has the variable, or the setting that it is in wandb's settings files."""
    return name in _BY_LIBRARIES or name in read or name.lower() in read or name.removeprefix("WANDB_").lower() in read


def _check_exit_codes(root: Path) -> Iterator[str]:
    known: dict[int, set[str]] = {0: set()}
    for kind in error_classes():
        known.setdefault(kind.exit_code, set()).add(kind.code)
    for page in ("README.md", "docs/reference/exit-codes.md"):
        rows = _EXIT_ROW.findall((root / page).read_text(encoding="utf-8"))
        told = {int(code) for row in rows for code in row[0].split(", ")}
        yield from (f"{page}: no error has the exit code {code}" for code in sorted(told - known.keys()))
        yield from (f"{page}: the exit code {code} is not told" for code in sorted(known.keys() - told))
    for numbers, row in rows:  # of the last page, which names the errors as well
        wanted = {code for number in numbers.split(", ") for code in known.get(int(number), ())}
        linked = set(re.findall(r"\(\.\./errors/([\w-]+)\.md\)", row))
        yield from (f"{page}: {code} ends with {numbers}, which is not told" for code in sorted(wanted - linked))
        yield from (f"{page}: {code} does not end with {numbers}" for code in sorted(linked - wanted))
    index = (root / "docs" / "errors" / "index.md").read_text(encoding="utf-8")
    headings = re.split(r"^## (?:Exit code )?(.+)$", index, flags=re.MULTILINE)
    for heading, below in zip(headings[1::2], headings[2::2], strict=True):
        listed = set(re.findall(r"^\| \[([\w-]+)\]", below, flags=re.MULTILINE))
        wrong = listed - known.get(int(heading), set()) if heading.isdecimal() else set()
        yield from (f"docs/errors/index.md: {code} does not end with {heading}" for code in sorted(wrong))


def _check_json(root: Path) -> Iterator[str]:
    page = "docs/reference/json.md"
    text = (root / page).read_text(encoding="utf-8")
    told = set(inline_codes(text))
    for key in (
        *Outcome(Path(), "").as_json(),
        *Quarantined("", "", "").as_json(),
        *errors.BackhaulError("").as_json(),
        *Finding("", "", "", "").as_json(),
        "exit_code",
    ):
        if key not in told:
            yield f"{page}: the key {key} is not told"
    written = {each for found in _texts_of_the_code().values() for each in found}
    keys = {code for line in text.splitlines() if line.startswith("| `") for code in inline_codes(line.split("|")[1])}
    yield from (f"{page}: nothing writes the key {key}" for key in sorted(keys - written))
