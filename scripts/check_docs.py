#!/usr/bin/env python3
"""Holds the documentation against the code. Prints every difference and ends with 1 when there is one.

What is checked: the reference is that of the program, in both directions: commands, options with what follows them,
their choices and defaults, environment variables, exit codes with their errors, keys of JSON documents
(`check_reference.py`); every error class has its page, with its exit code, every finding one with its severity and its
place in the troubleshooting page, and no page is without either; each has the messages of its code (`messages.py`);
every `backhaul …` line in the texts is one that the program understands; relative links lead somewhere; no text holds a
path of the machine on which it was written; fragments of the change log have their form.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from check_reference import check_reference, error_classes, inline_codes
from messages import check_messages

from backhaul import errors
from backhaul.cli.main import cli
from backhaul.doctor.finding import SEVERITIES

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))

from tests.pages import BEYOND, blocks_of  # noqa: E402 - found only now

_PASSED_OVER = frozenset({".venv", ".git", "node_modules", "wandb", "build", "dist"})

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_EXIT_LINE = re.compile(r"^Exit code: (\d+)$", re.MULTILINE)
_ASSIGNMENTS = re.compile(r"^(?:\w+=(?:\$\([^)]*\)|\S*) +)*")
# Where a command ends for the shell, or for a reader: a pipe, a redirection, a comment, an ellipsis.
_END_OF_COMMAND = re.compile(r"(\s[|&>#].*|\s2>.*|;.*|\s…$|\s\\$)", re.DOTALL)
# A fragment's name; a bullet, which may go on in indented lines.
_FRAGMENT = re.compile(r"[a-z0-9][a-z0-9.-]*\.(highlights|added|changed|deprecated|removed|fixed|security)\.md")
_BULLETS = re.compile(r"(?:- \S.*\n(?:  \S.*\n)*)+")
_FOREIGN_HOMES = re.compile(r"(?<![\w.])/(?:home|root|Users|tmp|private|work|workspace|builds|var/folders)/[\w.-]+")


def check(root: Path = _ROOT) -> list[str]:
    """Every difference between the texts under `root` and the code, one sentence each."""
    return [
        *check_reference(root),
        *_check_error_pages(root),
        *_check_finding_pages(root),
        *check_messages(root),
        *_check_troubleshooting(root),
        *_check_command_lines(root),
        *_check_links(root),
        *_check_paths(root),
        *_check_typed_pages(root),
        *_check_fragments(root),
    ]


def texts(root: Path) -> list[Path]:
    """Every Markdown file of the project."""
    found = []
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name not in _PASSED_OVER]
        found += [Path(folder, name) for name in names if name.endswith(".md")]
    return sorted(found)


def _check_error_pages(root: Path) -> Iterator[str]:
    folder = root / "docs" / "errors"
    pages = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.md") if path.stem != "index"}
    classes = {kind.code: kind for kind in error_classes() if kind.__module__ == errors.__name__}
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
        words = " ".join(pages[code].split())
        for sentence in (classes[code].safe_by_default, classes[code].next_by_default):
            if " ".join(sentence.split()) not in words:
                yield f"docs/errors/{code}.md: nobody who searches for it finds: {sentence}"
        if f"({code}.md)" not in index:
            yield f"docs/errors/index.md: {code} is not listed"


def _check_finding_pages(root: Path) -> Iterator[str]:
    errors_too = {kind.code for kind in error_classes()}
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
    told = set(re.findall(r"\(F(\d+)\)", text))
    yield from (f"{page}: F{number} is not told" for number in range(1, 34) if str(number) not in told)
    yield from (f"{page}: the finding {code} is not told" for code in SEVERITIES if f"(errors/{code}.md)" not in text)


def _check_command_lines(root: Path) -> Iterator[str]:
    for path in texts(root):
        for line in _command_lines(path.read_text(encoding="utf-8")):
            problem = _misunderstood(line)
            if problem is not None:
                yield f"{path.relative_to(root)}: `{line}`: {problem}"


def _command_lines(text: str) -> Iterator[str]:
    """Every `backhaul …` that a reader may type: lines of code blocks, and code within sentences."""
    candidates = [line for _, block in _FENCE.findall(text) for line in block.splitlines()]
    candidates += inline_codes(_FENCE.sub("", text))
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


def _check_typed_pages(root: Path) -> Iterator[str]:
    """A test types what these pages show; what would reach beyond it says that it is not run, and why."""
    for path in sorted([*(root / "docs" / "how-to").glob("*.md"), *(root / "docs" / "tutorial").glob("*.md")]):
        for block in blocks_of(path):
            beyond = BEYOND.search(block.body) if block.kind in ("sh", "console") else None
            if beyond and "not run" not in block.notes:
                page = path.relative_to(root)
                yield f"{page}: before `{beyond[0]}` has to stand <!-- not run: WHY -->, see tests/pages.py"


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
