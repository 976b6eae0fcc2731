"""What a run logged beside numbers: images, tables, sounds, films, histograms."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator
from typing import Any

from backhaul.depot import rows
from backhaul.depot.model import HISTORY, Run
from backhaul.depot.pages import heading, places, shown
from backhaul.depot.pages.visit import Visit

_PLAIN = frozenset({"number", "string", "bool", "list", "map", "nil"})
_MOST_KEYS = 60  # keys on one page
_MOST_STEPS = 24  # steps of one key on one page
_MOST_IMAGES = 32  # of one step
_LARGEST_TABLE = 8 << 20  # bytes
_TABLE_ROWS, _TABLE_COLUMNS = 20, 30
_MOST_BARS = 512


def view(visit: Visit) -> dict[str, Any]:
    """The last of each key; with `key` all steps of one, newest first, those before line number `before`."""
    run = visit.run()
    visit.services.look(run)
    kinds = _kinds(visit, run)
    key = visit.request.query_params.get("key")
    q = visit.text("q").casefold()
    names = [key] if key in kinds else [name for name in kinds if q in name.casefold()]
    pages = max(1, -(-len(names) // _MOST_KEYS))
    page = visit.number("page", 1, 1, pages)
    before = visit.number("before", 1 << 53)
    items = _steps(visit, run, names[0], before) if key in kinds else _last(visit, run, names, page)
    return heading.of_page(visit, run, "media") | {
        "q": visit.text("q"),
        "key": key if key in kinds else None,
        "count": len(kinds),
        "items": items,
        "older": items[-1]["line"] if key in kinds and len(items) == _MOST_STEPS else None,
        "page": page,
        "pages": pages,
    }


def _kinds(visit: Visit, run: Run) -> dict[str, str]:
    """The keys under which media were logged, by name, each with its type."""
    facts = (visit.services.history.keys(run) or {}).get("keys", {})
    found: dict[str, str] = {}
    for key, fact in sorted(facts.items()):
        kinds = [kind["type"] for kind in fact["typeCounts"] if kind["type"] not in _PLAIN]
        if kinds:
            found[key] = kinds[0]
    return found


def _last(visit: Visit, run: Run, names: list[str], page: int) -> list[dict[str, Any]]:
    """What the summary has of each key, or else the history."""
    facts = (visit.services.history.keys(run) or {}).get("keys", {})
    summary = rows.parse(run.summary)
    found = []
    for name in names[(page - 1) * _MOST_KEYS : page * _MOST_KEYS]:
        value = rows.value_at(summary, name)
        value = value if _is_media(value) else facts[name]["previousValue"]
        if _is_media(value):
            found.append({"key": name, "step": None, "line": None} | _media(visit, run, value))
    return found


def _steps(visit: Visit, run: Run, key: str, before: int) -> list[dict[str, Any]]:
    return [
        {"key": key, "step": row.get("_step", number), "line": number} | _media(visit, run, rows.value_at(row, key))
        for _, (number, row) in zip(range(_MOST_STEPS), _rows_with(visit, run, key, before), strict=False)
    ]


def _rows_with(visit: Visit, run: Run, key: str, before: int) -> Iterator[tuple[int, rows.Row]]:
    """The rows with media under that key, newest first, with their line numbers."""
    for ref in reversed(visit.store.batches(run.id, HISTORY)):
        if ref.first >= before:
            continue
        numbered = list(enumerate(visit.store.batch_lines(ref.id) or (), ref.first))
        for number, line in reversed(numbered):
            if number < before and '"_type"' in line and _is_media(rows.value_at(row := rows.parse(line), key)):
                yield number, row


def _is_media(value: Any) -> bool:
    return isinstance(value, dict) and "_type" in value


def _media(visit: Visit, run: Run, value: dict[str, Any]) -> dict[str, Any]:
    """A value as the page shows it: `kind` is `images`, `table`, `audio`, `video`, `histogram` or `other`."""
    kind = str(value["_type"])
    shown_as: dict[str, Any] = {"type": kind, "kind": "other", "files": _files(visit, run, value)}
    if kind in ("image-file", "images/separated", "images"):
        return shown_as | {"kind": "images"}
    if kind in ("table-file", "table"):
        return shown_as | {"kind": "table", "table": _table(visit, run, value)}
    if kind in ("audio-file", "video-file"):
        return shown_as | {"kind": kind.removesuffix("-file")}
    bars = _bars(value) if kind == "histogram" else None
    return shown_as | {"kind": "histogram", "bars": bars} if bars else shown_as


def _files(visit: Visit, run: Run, value: dict[str, Any]) -> list[dict[str, Any]]:
    """The files that the value names, as far as they are text, with their captions."""
    names = value.get("filenames") if isinstance(value.get("filenames"), list) else [value.get("path")]
    captions = value.get("captions") if isinstance(value.get("captions"), list) else [value.get("caption")]
    found = []
    for place, name in enumerate(names[:_MOST_IMAGES]):  # type: ignore[index]
        if isinstance(name, str):
            caption = captions[place] if place < len(captions) else None  # type: ignore[arg-type,index]
            found.append(_file(visit, run, name, caption if isinstance(caption, str) else None))
    return found


def _file(visit: Visit, run: Run, name: str, caption: str | None) -> dict[str, Any]:
    stored = visit.store.file(run.id, name)
    return {
        "name": name,
        "caption": caption,
        "path": places.of_file(run, name) if stored else None,
        "image": (mimetypes.guess_type(name)[0] or "").startswith("image/"),
    }


def _table(visit: Visit, run: Run, value: dict[str, Any]) -> dict[str, Any] | None:
    """The first rows and columns of a table; None for one that is not here, too large or none."""
    stored = visit.store.file(run.id, str(value.get("path")))
    if stored is None or stored.size > _LARGEST_TABLE:
        return None
    try:
        table = json.loads(visit.services.blobs.read(stored.blob))
        columns, data = table["columns"], table["data"]
        return {
            "columns": [shown.text(name) for name in columns[:_TABLE_COLUMNS]],
            "rows": [[_cell(visit, run, cell) for cell in row[:_TABLE_COLUMNS]] for row in data[:_TABLE_ROWS]],
            "total_rows": len(data),
            "total_columns": len(columns),
        }
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _cell(visit: Visit, run: Run, value: Any) -> dict[str, Any]:
    """A cell's text; for one that holds an image, the image too."""
    path = value.get("path") if _is_media(value) else None
    return {"text": shown.text(value), "file": _file(visit, run, path, None) if isinstance(path, str) else None}


def _bars(value: dict[str, Any]) -> list[dict[str, float]] | None:
    """The bars of a histogram, in parts of 1000: where they start, how wide and how high they are."""
    counts, edges = value.get("values"), value.get("bins")
    if not isinstance(counts, list) or not 0 < len(counts) <= _MOST_BARS:
        return None
    if not all(rows.is_number(count) and count >= 0 for count in counts):
        return None
    highest, width = max(counts) or 1, 1000 / len(counts)
    low, high = (edges[0], edges[-1]) if isinstance(edges, list) and len(edges) > 1 else (0, len(counts))
    return [
        {"x": round(place * width, 2), "width": round(width, 2), "height": round(1000 * count / highest, 1),
         "count": count, "low": low, "high": high}
        for place, count in enumerate(counts)
    ]  # fmt: skip
