"""Logs of many windows: recorded ones whose middle comes again and again, odd ones made by a seed, damage to both."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backhaul.wandblog import LogReader, LogWriter
from backhaul.wandblog.schema import HistoryRecord, Record, SummaryRecord

_PAGE = 4096
_WORDS = ["loss", "acc", "net", "width", "val", "a b", "ö", "_step", "x" * 40, 'quo"te']
_CONSOLE = [
    "step {} of many\n",
    "\r{} %",
    "50 %\r100 % {}\n",
    "\n\n",
    "up\x1b[A{}\x1b[B",
    "half a \x1b",
    "[Aseq {}",
    "é" * 9,
]


def grown(log: Path, size: int) -> bytes:
    """A log of `size` bytes or more: what is between the recorded log's run and exit records, over and over."""
    records = [Record.FromString(record.data) for record in LogReader(log)]
    kinds = [record.WhichOneof("record_type") for record in records]
    begin = kinds.index("run") + 1
    end = kinds.index("exit") if "exit" in kinds else len(kinds)
    head, middle, tail = records[:begin], records[begin:end], records[end:]
    numbered = bool(records[0].num)
    rounds = 1 + size // (sum(record.ByteSize() + 7 for record in middle) or size)
    return framed(head + middle * rounds + tail if middle else records, numbered=numbered)


def framed(records: list[Any], *, numbered: bool = True) -> bytes:
    """The log of these records, numbered one after the other."""
    file = io.BytesIO()
    writer = LogWriter(file)
    for number, record in enumerate(records, start=1):
        record.num = number if numbered else 0
        writer.write(record.SerializeToString())
    return file.getvalue()


def odd(seed: int, size: int, *, all_can_be_sent: bool = False) -> bytes:
    """A log of `size` bytes or more in which everything that a log may have comes in any order.

    With `all_can_be_sent` all values are JSON, and no files or artifacts are named, whose contents would have to lie
    somewhere.
    """
    chance = random.Random(seed)
    by_go, records, made = chance.random() < 0.6, [_header(), _run(chance)], 0
    if by_go:
        records[0].header.version_info.producer = "0.31.0"
    kinds: list[Callable[[random.Random, int], Any]] = [
        _row, _row, _row, _row, _console, _console, _config, _stats, _metric, _telemetry, _other,
        *([] if all_can_be_sent else [_payload]),
    ]  # fmt: skip
    while made < size:
        record = chance.choice([*kinds, _summary, _summary] if by_go else kinds)(chance, len(records))
        records.append(record)
        made += record.ByteSize() + 7
    if chance.random() < 0.7:
        records.append(Record())
        records[-1].exit.exit_code = chance.choice([0, 1])
    if all_can_be_sent:
        records = [record for record in records if b"no json" not in record.SerializeToString()]
    return framed(records, numbered=chance.random() < 0.8)


def damaged(log: bytes, chance: random.Random) -> bytes:
    """The log after something befell it: flipped bits, pages that are missing, zero or there twice, a cut."""
    hurt = bytearray(log)
    for _ in range(chance.randint(1, 3)):
        page = chance.randrange(1, max(2, len(hurt) // _PAGE)) * _PAGE
        match chance.randrange(5):
            case 0:
                hurt[chance.randrange(7, len(hurt))] ^= 1 << chance.randrange(8)
            case 1:
                del hurt[page : page + _PAGE * chance.choice([1, 8])]
            case 2:
                hurt[page : page + _PAGE] = bytes(len(hurt[page : page + _PAGE]))
            case 3:
                hurt[page:page] = hurt[page : page + 8 * _PAGE]
            case _:
                del hurt[len(hurt) - chance.randrange(1, 200) :]
    return bytes(hurt)


def _header() -> Any:
    record = Record()
    record.header.SetInParent()
    return record


def _run(chance: random.Random) -> Any:
    record = Record()
    record.run.run_id, record.run.project, record.run.display_name = "odd", "p", "An odd one"
    record.run.start_time.seconds = 1_700_000_000
    record.run.tags.extend(["a", "b"])
    _fill(record.run.config.update, chance)
    return record


def _row(chance: random.Random, number: int) -> Any:
    row = HistoryRecord()
    _fill(row.item, chance)
    if chance.random() < 0.8:
        row.item.add(nested_key=["_step"], value_json=str(number).encode())
        row.item.add(nested_key=["_timestamp"], value_json=str(1.7e9 + number).encode())
    if chance.random() < 0.01:
        row.item.add(nested_key=["text"], value_json=json.dumps("t" * 40_000).encode())
    return Record(history=row.SerializeToString())


def _summary(chance: random.Random, _: int) -> Any:
    summary = SummaryRecord()
    _fill(summary.update, chance)
    if chance.random() < 0.1:
        summary.remove.add(nested_key=_path(chance))
    return Record(summary=summary.SerializeToString())


def _config(chance: random.Random, _: int) -> Any:
    record = Record()
    _fill(record.config.update, chance)
    if chance.random() < 0.3:
        record.config.remove.add(nested_key=_path(chance))
    return record


def _fill(items: Any, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 4)):
        item = items.add(value_json=_value(chance))
        path = _path(chance)
        if len(path) == 1 and chance.random() < 0.5:
            item.key = path[0]
        else:
            item.nested_key.extend(path)


def _path(chance: random.Random) -> list[str]:
    return [chance.choice(_WORDS) for _ in range(chance.choice([1, 1, 1, 2, 3]))]


def _value(chance: random.Random) -> bytes:
    plain = [str(chance.random()), str(chance.randrange(100)), '"text"', "true", "null", "NaN", "-Infinity", "1e500"]
    odd = ['{"k": 1}', '{"k": {"l": [1, "é"]}}', "[1, 2]", '"\\u00e9 \\""', "{}", "no json", "1" * 30]
    return chance.choice([*plain, *plain, *odd]).encode()


def _console(chance: random.Random, number: int) -> Any:
    record = Record()
    text = "".join(chance.choice(_CONSOLE).format(number) for _ in range(chance.randint(1, 3)))
    if chance.random() < 0.05:
        record.output_logger.line = f"a whole line {number}\n"
        return record
    record.output_raw.output_type = chance.choice([0, 1])
    record.output_raw.timestamp.seconds = 1_700_000_000 + number
    record.output_raw.timestamp.nanos = chance.randrange(10**9)
    record.output_raw.line = text
    return record


def _stats(chance: random.Random, number: int) -> Any:
    record = Record()
    record.stats.timestamp.seconds = 1_700_000_000 + number
    record.stats.item.add(key="cpu", value_json=_value(chance))
    return record


def _metric(chance: random.Random, _: int) -> Any:
    record = Record()
    setattr(record.metric, chance.choice(["name", "glob_name"]), chance.choice(_WORDS))
    record.metric.step_metric = chance.choice(["", "epoch"])
    record.metric.options.hidden = chance.random() < 0.2
    for kind in ("min", "max", "mean", "first"):
        setattr(record.metric.summary, kind, chance.random() < 0.3)
    record.metric.goal = chance.choice([0, 1, 2])
    record.metric.control.overwrite = chance.random() < 0.2
    return record


def _telemetry(chance: random.Random, _: int) -> Any:
    # Python version, the SDK's version, a set of flags (fields 4, 5 and 3).
    parts = [
        b"\x22\x04" + chance.choice([b"3.11", b"3.12"]),
        b"\x2a\x040.31",
        b"\x1a\x02" + bytes([chance.choice([8, 16, 24]), 1]),
    ]
    return Record(telemetry=b"".join(chance.sample(parts, 2)))


def _payload(chance: random.Random, number: int) -> Any:
    """A file that was saved, or an artifact that was logged."""
    record = Record()
    if chance.random() < 0.5:
        record.files.files.add(path=f"media/{number}.png")
    else:
        record.artifact.name, record.artifact.type = f"model-{number}", "model"
        record.artifact.manifest.contents.add(path="weights", digest="abc", size=number)
    return record


def _other(chance: random.Random, number: int) -> Any:
    """What comes seldom: alerts, preemption, a change of the run, an environment, a type that nobody knows."""
    record = Record()
    match chance.choice(["alert", "preempting", "run", "environment", "unknown"]):
        case "alert":
            record.alert.title, record.alert.text = f"alert {number}", "text"
        case "preempting":
            record.preempting = b""
        case "run":
            record.run.run_id, record.run.notes = "odd", f"notes {number}"
            record.run.tags.append(f"tag {number}")
        case "environment":
            # Field 1, the operating system, and field 2, the Python.
            record.environment = b"\x0a\x05Linux\x12\x043.11"
    return record
