#!/usr/bin/env python3
"""Holds the documentation against the code. Prints every difference and ends with 1 when there is one.

What is checked: the commands and options of the reference are those of the program; every error class has its page,
with its exit code, every finding one with its severity and its place in the troubleshooting page, and no page is
without either; the exit codes of the tables are those of the errors; the JSON reference names every key that is
printed; every `backhaul …` line in the texts is one that the program understands; relative links lead somewhere; no
text holds a path of the machine on which it was written; fragments of the change log have their form.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from backhaul import errors
from backhaul.cli.main import cli
from backhaul.doctor.finding import SEVERITIES, Finding
from backhaul.sync.outcome import Outcome, Quarantined

_ROOT = Path(__file__).resolve().parents[1]
_PASSED_OVER = frozenset({".venv", ".git", "node_modules", "wandb", "build", "dist"})
_HELP = frozenset({"-h", "--help"})

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_OPTION = re.compile(r"(?<![\w-])-{1,2}[a-zA-Z][\w-]*")
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_EXIT_ROW = re.compile(r"^\| (\d+(?:, \d+)*) \|", re.MULTILINE)
_EXIT_LINE = re.compile(r"^Exit code: (\d+)$", re.MULTILINE)
_ASSIGNMENTS = re.compile(r"^(?:\w+=(?:\$\([^)]*\)|\S*) +)*")
# Where a command ends for the shell, or for a reader: a pipe, a redirection, a comment, an ellipsis.
_END_OF_COMMAND = re.compile(r"(\s[|&>#].*|\s2>.*|;.*|\s…$|\s\\$)", re.DOTALL)
# A fragment's name; a bullet, which may go on in indented lines.
_FRAGMENT = re.compile(r"[a-z0-9][a-z0-9.-]*\.(added|changed|deprecated|removed|fixed|security)\.md")
_BULLETS = re.compile(r"(?:- \S.*\n(?:  \S.*\n)*)+")
_FOREIGN_HOMES = re.compile(r"(?<![\w.])/(?:home|root|Users|tmp|private|work|workspace|builds|var/folders)/[\w.-]+")


def check(root: Path = _ROOT) -> list[str]:
    """Every difference between the texts under `root` and the code, one sentence each."""
    return [
        *_check_commands(root),
        *_check_error_pages(root),
        *_check_finding_pages(root),
        *_check_troubleshooting(root),
        *_check_exit_codes(root),
        *_check_json(root),
        *_check_command_lines(root),
        *_check_links(root),
        *_check_paths(root),
        *_check_fragments(root),
    ]


def texts(root: Path) -> list[Path]:
    """Every Markdown file of the project."""
    found = []
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name not in _PASSED_OVER]
        found += [Path(folder, name) for name in names if name.endswith(".md")]
    return sorted(found)


def _check_commands(root: Path) -> Iterator[str]:
    page = "docs/reference/commands.md"
    sections = _sections((root / page).read_text(encoding="utf-8"))
    known = dict(_commands(cli, "backhaul"))
    for path, command in known.items():
        if path not in sections:
            yield f"{page}: `{path}` has no section"
            continue
        wanted, told = _options(command), _first_cells(sections[path])
        yield from (f"{page}: `{path}` has {option}, which is not told" for option in sorted(wanted - told))
        yield from (f"{page}: {option} is told of `{path}`, which has none" for option in sorted(told - wanted))
    yield from (f"{page}: there is no command `{path}`" for path in sections if path not in known)


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _commands(below, f"{path} {name}")


def _options(command: click.Command) -> set[str]:
    shown = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    return {name for param in shown for name in (*param.opts, *param.secondary_opts)} - _HELP


def _sections(text: str) -> dict[str, str]:
    """The text below each heading that names a command."""
    parts = re.split(r"^#{1,3} `?(backhaul[^`\n]*)`?$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _first_cells(section: str) -> set[str]:
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `-")]
    return {option for cell in cells for option in _OPTION.findall(cell)} - _HELP


def _error_classes(kind: type[errors.BackhaulError] = errors.BackhaulError) -> Iterator[type[errors.BackhaulError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _error_classes(below)


def _check_error_pages(root: Path) -> Iterator[str]:
    folder = root / "docs" / "errors"
    pages = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.md") if path.stem != "index"}
    classes = {kind.code: kind for kind in _error_classes() if kind.__module__ == errors.__name__}
    yield from (f"docs/errors: {code} has no page" for code in sorted(classes.keys() - pages.keys()))
    unknown = pages.keys() - classes.keys() - SEVERITIES.keys()
    yield from (f"docs/errors/{code}.md: there is no such error or finding" for code in sorted(unknown))
    index = (folder / "index.md").read_text(encoding="utf-8")
    for code in sorted(classes.keys() & pages.keys()):
        told, exit_code = ", ".join(_EXIT_LINE.findall(pages[code])), classes[code].exit_code
        if told != str(exit_code):
            yield f"docs/errors/{code}.md: the exit code is {exit_code}, told is {told or 'none'}"
        if f"`{errors.__name__}.{classes[code].__name__}`" not in pages[code]:
            yield f"docs/errors/{code}.md: the class {classes[code].__name__} is not told"
        if f"({code}.md)" not in index:
            yield f"docs/errors/index.md: {code} is not listed"


def _check_finding_pages(root: Path) -> Iterator[str]:
    errors_too = {kind.code for kind in _error_classes()}
    folder = root / "docs" / "errors"
    index = (folder / "index.md").read_text(encoding="utf-8")
    for code, severity in SEVERITIES.items():
        if code in errors_too:
            continue
        page = folder / f"{code}.md"
        if not page.exists():
            yield f"docs/errors: {code} has no page"
        elif f"\nSeverity: {severity}\n" not in page.read_text(encoding="utf-8"):
            yield f"docs/errors/{code}.md: the severity is {severity}, which is not told"
        if f"| [{code}]({code}.md) | {severity} |" not in index:
            yield f"docs/errors/index.md: {code} is not listed with its severity"


def _check_troubleshooting(root: Path) -> Iterator[str]:
    page = "docs/troubleshooting.md"
    text = (root / page).read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| F(\d+) \|", text, flags=re.MULTILINE))
    yield from (f"{page}: F{number} has no row" for number in range(1, 34) if str(number) not in rows)
    yield from (f"{page}: the finding {code} is not told" for code in SEVERITIES if f"(errors/{code}.md)" not in text)


def _check_exit_codes(root: Path) -> Iterator[str]:
    known = {kind.exit_code for kind in _error_classes()} | {0}
    for page in ("README.md", "docs/reference/exit-codes.md"):
        rows = _EXIT_ROW.findall((root / page).read_text(encoding="utf-8"))
        told = {int(code) for row in rows for code in row.split(", ")}
        yield from (f"{page}: no error has the exit code {code}" for code in sorted(told - known))
        yield from (f"{page}: the exit code {code} is not told" for code in sorted(known - told))


def _check_json(root: Path) -> Iterator[str]:
    page = "docs/reference/json.md"
    told = set(_INLINE.findall((root / page).read_text(encoding="utf-8")))
    item = Quarantined("", "", "").as_json()
    for key in (
        *Outcome(Path(), "").as_json(),
        *item,
        *errors.BackhaulError("").as_json(),
        *Finding("", "", "", "").as_json(),
        "exit_code",
    ):
        if key not in told:
            yield f"{page}: the key {key} is not told"


def _check_command_lines(root: Path) -> Iterator[str]:
    for path in texts(root):
        for line in _command_lines(path.read_text(encoding="utf-8")):
            problem = _misunderstood(line)
            if problem is not None:
                yield f"{path.relative_to(root)}: `{line}`: {problem}"


def _command_lines(text: str) -> Iterator[str]:
    """Every `backhaul …` that a reader may type: lines of code blocks, and code within sentences."""
    candidates = [line for _, block in _FENCE.findall(text) for line in block.splitlines()]
    candidates += _INLINE.findall(_FENCE.sub("", text))
    for candidate in candidates:
        line = _ASSIGNMENTS.sub("", candidate.strip().removeprefix("$ ").removeprefix(".venv/bin/"))
        if line.startswith("backhaul ") and not line.startswith("backhaul --") and "=" not in line.split()[1]:
            yield _END_OF_COMMAND.sub("", line)


def _misunderstood(line: str) -> str | None:
    """Why the program would not understand the line, or None."""
    command: click.Command = cli
    try:
        rest = shlex.split(line)[1:]
        while True:
            context = click.Context(command)
            _, rest, _ = command.make_parser(context).parse_args(rest)
            if not rest:
                return None
            below = command.get_command(context, rest[0]) if isinstance(command, click.Group) else None
            if below is None:
                return f"{rest[0]} is no command" if isinstance(command, click.Group) else f"{rest[0]} is too much"
            command, rest = below, rest[1:]
    except click.UsageError as error:
        return error.format_message()
    except ValueError as error:
        return str(error)


def _check_links(root: Path) -> Iterator[str]:
    for path in texts(root):
        for link in _LINK.findall(_FENCE.sub("", path.read_text(encoding="utf-8"))):
            if "://" in link or link.startswith("mailto:"):
                continue
            name, _, anchor = link.partition("#")
            target = (path.parent / name) if name else path
            if not target.exists():
                yield f"{path.relative_to(root)}: {link} leads nowhere"
            elif anchor and target.suffix == ".md" and anchor not in _anchors(target.read_text(encoding="utf-8")):
                yield f"{path.relative_to(root)}: {link} names a heading that is not there"


def _anchors(text: str) -> set[str]:
    """The names of the headings, as GitHub makes them."""
    headings = re.findall(r"^#{1,6} (.+)$", _FENCE.sub("", text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _check_paths(root: Path) -> Iterator[str]:
    own = {str(_ROOT), str(Path.home())} - {"/"}
    for path in texts(root):
        if "recorded" in path.parts:  # tells which paths the SDK wrote into the logs there
            continue
        text = path.read_text(encoding="utf-8")
        for found in sorted({*_FOREIGN_HOMES.findall(text), *(place for place in own if f"{place}/" in text)}):
            yield f"{path.relative_to(root)}: {found} is a path of one machine"


def _check_fragments(root: Path) -> Iterator[str]:
    for path in sorted((root / "changelog.d").iterdir()):
        if path.name == "template.md":
            continue
        if not _FRAGMENT.fullmatch(path.name):
            yield f"changelog.d/{path.name}: a fragment is named some-words.KIND.md, see CONTRIBUTING.md"
        elif not _BULLETS.fullmatch(path.read_text(encoding="utf-8")):
            yield f"changelog.d/{path.name}: a fragment is a list of bullets, `- …`, and nothing else"


if __name__ == "__main__":
    problems = check()
    print("\n".join(problems) or "the documentation agrees with the code")
    sys.exit(1 if problems else 0)
