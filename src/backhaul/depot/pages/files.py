"""The files of a run, folder by folder."""

from __future__ import annotations

from typing import Any

from backhaul.depot.graphql.times import iso
from backhaul.depot.model import Run, StoredFile
from backhaul.depot.pages import heading, places
from backhaul.depot.pages.visit import Visit

_PAGE = 200
_LARGEST_TEXT = 256 << 10
_TEXTS = (".txt", ".yaml", ".yml", ".json", ".py", ".md", ".log", ".cfg", ".toml", ".csv", ".sh", ".patch", ".diff")


def view(visit: Visit) -> dict[str, Any]:
    """What lies in `folder`: folders with what is below them, then files; `show` opens a small text."""
    run = visit.run()
    visit.services.look(run)
    folder = visit.text("folder").strip("/")
    every = visit.store.files(run.id)
    inside = [file for file in every if not folder or file.name.startswith(f"{folder}/")]
    folders, found = _level(inside, len(folder) + 1 if folder else 0)
    pages = max(1, -(-len(found) // _PAGE))
    page = visit.number("page", 1, 1, pages)
    return heading.of_page(visit, run, "files") | {
        "folder": folder,
        "above": _above(folder),
        "folders": [{"name": name, "folder": f"{folder}/{name}".lstrip("/"), **what} for name, what in folders.items()],
        "files": [_row(run, file) for file in found[(page - 1) * _PAGE : page * _PAGE]],
        "total": {"files": len(every), "bytes": sum(file.size for file in every)},
        "page": page,
        "pages": pages,
        "opened": _opened(visit, run, visit.text("show")),
    }


def _level(inside: list[StoredFile], start: int) -> tuple[dict[str, dict[str, int]], list[StoredFile]]:
    """The folders, with how many files and bytes are below them, and the files of one level."""
    folders: dict[str, dict[str, int]] = {}
    found: list[StoredFile] = []
    for file in inside:
        name, slash, _ = file.name[start:].partition("/")
        if slash:
            below = folders.setdefault(name, {"files": 0, "bytes": 0})
            below["files"] += 1
            below["bytes"] += file.size
        else:
            found.append(file)
    return folders, found


def _above(folder: str) -> list[dict[str, str]]:
    """The way to the folder, each part with its own address."""
    parts = folder.split("/") if folder else []
    return [{"name": part, "folder": "/".join(parts[: place + 1])} for place, part in enumerate(parts)]


def _row(run: Run, file: StoredFile) -> dict[str, Any]:
    return {
        "name": file.name.rpartition("/")[2],
        "full_name": file.name,
        "bytes": file.size,
        "md5": file.md5,
        "updated": iso(file.updated_at),
        "path": places.of_file(run, file.name),
        "readable": _is_readable(file),
    }


def _is_readable(file: StoredFile) -> bool:
    return file.name.lower().endswith(_TEXTS) and file.size <= _LARGEST_TEXT


def _opened(visit: Visit, run: Run, name: str) -> dict[str, str] | None:
    """The text of a small file; None when none was asked for or it is no small text."""
    file = visit.store.file(run.id, name) if name else None
    if file is None or not _is_readable(file):
        return None
    data = visit.services.blobs.read(file.blob)
    return {"name": file.name, "path": places.of_file(run, file.name), "text": data.decode("utf-8", "replace")}
