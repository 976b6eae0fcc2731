#!/usr/bin/env python3
"""Writes the manual pages, man/man1/*.1, of the commands as they are: one page for `backhaul`, one for each command.

    scripts/man_pages.py            writes them
    scripts/man_pages.py --check    writes nothing; says which are not as they would be written, and ends with 1

Synopsis, descriptions and options are those of the program; exit codes and environment variables are those of the
tables in docs/reference. The pages are kept, so that a wheel is built without importing the program.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from backhaul.cli.main import cli

_ROOT = Path(__file__).resolve().parents[1]
_PAGES = Path("man", "man1")
# From this heading on the page of settings tells of files.
_WRITTEN = "\n## What is written where\n"
_MARKUP = re.compile(r"`([^`]+)`|\[([^\]]+)\]\([^)]+\)|\*([^*]+)\*")


def pages() -> dict[Path, str]:
    """The text of each page, by its path in the repository."""
    commands = {name: cli.get_command(click.Context(cli), name) for name in cli.list_commands(click.Context(cli))}
    written = {
        _PAGES / "backhaul.1": _page(
            "backhaul", cli, [*_overview(commands), *_environment(), *_files()], list(commands)
        )
    }
    for name, command in commands.items():
        assert command is not None
        written[_PAGES / f"backhaul-{name}.1"] = _page(
            f"backhaul {name}", command, _below(f"backhaul {name}", command), []
        )
    return written


def _page(name: str, command: click.Command, more: list[str], see: list[str]) -> str:
    dashed = name.replace(" ", "-")
    lines = [
        f'.TH "{dashed.upper()}" "1" "" "Backhaul" "Backhaul manual"',
        *_section("NAME", f"{_text(dashed)} \\- {_text(_first_sentence(command).rstrip('.'))}"),
        *_section("SYNOPSIS", *_synopsis(name, command)),
        *_section("DESCRIPTION", *_description(command)),
        *_section("OPTIONS", *_options(command)),
        *more,
        *_exit_status(),
        *_section("SEE ALSO", *_see_also(see)),
    ]
    return "\n".join(lines) + "\n"


def _section(title: str, *lines: str) -> list[str]:
    return [f'.SH "{title}"', *lines] if lines else []


def _text(text: str) -> str:
    """A text in the language of manual pages, on one line that begins with no request."""
    return _literal(" ".join(_MARKUP.sub(lambda match: match[1] or match[2] or match[3], text).split()))


def _literal(line: str) -> str:
    """The same for a line whose spaces and marks count."""
    escaped = line.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


def _paragraphs(command: click.Command) -> list[str]:
    return inspect.cleandoc(command.help or "").split("\n\n")


def _first_sentence(command: click.Command) -> str:
    return " ".join(_paragraphs(command)[0].split()).split(". ")[0]


def _synopsis(name: str, command: click.Command) -> Iterator[str]:
    words = [piece for piece in command.collect_usage_pieces(click.Context(command)) if piece]
    yield f"\\fB{_text(name)}\\fR {_text(' '.join(words))}"


def _description(command: click.Command) -> Iterator[str]:
    for number, paragraph in enumerate(_paragraphs(command)):
        if number:
            yield ".PP"
        if paragraph.startswith("\b\n"):  # click's mark of lines that stay as they are
            yield from (".nf", *(_literal(line) for line in paragraph.splitlines()[1:]), ".fi")
        else:
            yield _text(paragraph)


def _options(command: click.Command) -> Iterator[str]:
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            yield from (".TP", _names(option), _text(_meaning(option)))
    yield from (".TP", "\\fB\\-h\\fR, \\fB\\-\\-help\\fR", "Show a short help and end.")


def _names(option: click.Option) -> str:
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in sorted(option.opts, key=len))
    if option.secondary_opts:
        return f"{names} / " + ", ".join(f"\\fB{_text(name)}\\fR" for name in option.secondary_opts)
    return names if option.is_flag or option.count else f"{names} \\fI{_text(_metavar(option))}\\fR"


def _metavar(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return option.type.name.removesuffix(" range").upper()


def _meaning(option: click.Option) -> str:
    said = (option.help or "").rstrip(".") + "."
    if option.show_default and option.default not in (None, ()) and not option.is_flag:
        said += f" By default {_shown(option.default)}."
    if isinstance(option.envvar, str) and option.envvar not in said:
        said += f" Also ${option.envvar}."
    return said


def _shown(default: Any) -> str:
    return ", ".join(map(str, default)) if isinstance(default, (list, tuple)) else str(default)


def _below(name: str, command: click.Command) -> list[str]:
    """The commands below a command, each with all that is said of it."""
    if not isinstance(command, click.Group):
        return []
    lines = list(_subsections(name, command))
    return _section("COMMANDS", *lines)


def _subsections(name: str, group: click.Group) -> Iterator[str]:
    for each, below in group.commands.items():
        yield from (
            f'.SS "{name} {each}"',
            *_synopsis(f"{name} {each}", below),
            ".PP",
            *_description(below),
            *_options(below),
        )
        if isinstance(below, click.Group):
            yield from _subsections(f"{name} {each}", below)


def _overview(commands: dict[str, click.Command | None]) -> list[str]:
    lines = []
    for name, command in commands.items():
        assert command is not None
        lines += [".TP", f"\\fBbackhaul\\-{_text(name)}\\fR(1)", _text(_first_sentence(command).rstrip(".") + ".")]
    return _section("COMMANDS", *lines)


def _rows(page: str, part: int = 0) -> Iterator[list[str]]:
    """The cells of each row of the page's tables before `_WRITTEN`, or (1) behind it, without their headings."""
    text = (_ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    lines = text.split(_WRITTEN)[part].splitlines()
    for before, line in pairwise(lines):
        if line.startswith("|") and before.startswith("|") and not line.startswith("|--"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def _exit_status() -> list[str]:
    rows = [(".TP", f"\\fB{_text(code)}\\fR", _text(meaning) + ".") for code, meaning, *_ in _rows("exit-codes.md")]
    return _section("EXIT STATUS", *(line for row in rows for line in row))


def _environment() -> list[str]:
    rows = [(".TP", f"\\fB{_text(cells[0])}\\fR", _text(cells[-1]) + ".") for cells in _rows("settings.md")]
    return _section("ENVIRONMENT", *(line for row in rows for line in row))


def _files() -> list[str]:
    rows = [(".TP", _text(where), _text(f"{what}: {why}") + ".") for what, where, why in _rows("settings.md", 1)]
    return _section("FILES", *(line for row in rows for line in row))


def _see_also(names: list[str]) -> Iterator[str]:
    pages = [f"\\fBbackhaul\\-{_text(name)}\\fR(1)" for name in names] or ["\\fBbackhaul\\fR(1)"]
    yield ", ".join(pages)


def main() -> None:
    """Writes the pages, or tells which differ."""
    wanted, folder = pages(), _ROOT / _PAGES
    there = {path.relative_to(_ROOT): path.read_text(encoding="utf-8") for path in folder.glob("*.1")}
    differing = sorted(str(path) for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path))
    if "--check" in sys.argv:
        print("\n".join(f"{path} is not as the program is: run scripts/man_pages.py" for path in differing), end="")
        sys.exit(1 if differing else 0)
    folder.mkdir(parents=True, exist_ok=True)
    for path in there.keys() - wanted.keys():
        (_ROOT / path).unlink()
    for path, text in wanted.items():
        (_ROOT / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
