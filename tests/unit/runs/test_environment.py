"""What the run was recorded on."""

from __future__ import annotations

import json

from backhaul.runs.environment import Environment
from backhaul.wandblog.schema import EnvironmentRecord


def _of(*records: EnvironmentRecord | bytes) -> Environment:
    environment = Environment()
    for record in records:
        environment.apply(record if isinstance(record, bytes) else record.SerializeToString())
    return environment


def test_partial_records_are_merged() -> None:
    """Later fields replace earlier ones where they are set; names are those of `wandb-metadata.json`."""
    first = EnvironmentRecord(os="Linux", python="3.11", cpu_count=2, code_path_local="train.py", args=["--lr", "1"])
    first.git.remote_url, first.git.commit = "git@example.org:a/b", "abc"
    second = EnvironmentRecord(cpu_count=8, writer_id="w")
    second.disk["/"].total = 10**12
    second.memory.total = 64 << 30
    second.gpu_nvidia.add(name="A100", memory_total=80 << 30, cuda_cores=6912)
    environment = _of(first, second)
    metadata = environment.metadata_json()
    assert metadata is not None
    assert json.loads(metadata) == {
        "os": "Linux",
        "python": "3.11",
        "cpu_count": 8,
        "codePathLocal": "train.py",
        "args": ["--lr", "1"],
        "git": {"remote": "git@example.org:a/b", "commit": "abc"},
        "disk": {"/": {"total": "1000000000000"}},
        "memory": {"total": str(64 << 30)},
        "gpu_nvidia": [{"name": "A100", "memoryTotal": str(80 << 30), "cudaCores": 6912}],
        "writerId": "w",
    }
    assert environment.config_value() == {"w": json.loads(metadata)}
    assert environment.git == ("git@example.org:a/b", "abc")


def test_another_message_under_the_same_number_is_passed_over() -> None:
    """0.16.5 and 0.16.6 wrote a list of parameter names there."""
    parameters = b"\x1a\x04\x0a\x02lr"
    for record in (b"\xff\xff\xff", parameters, b""):
        environment = _of(record)
        assert (environment.metadata_json(), environment.config_value()) == (None, None)


def test_without_a_record_there_is_no_metadata() -> None:
    """Before 0.21 the recording process wrote the file itself."""
    environment = _of()
    assert (environment.metadata_json(), environment.config_value(), environment.program, environment.git) == (
        None,
        None,
        None,
        (None, None),
    )


def test_several_disks_and_variables_are_told_in_one_order() -> None:
    """The file made of them has the same bytes in every process, so that it is sent once, and proved later."""
    names = ["/", "/home", "/data", "/scratch", "/a", "/b", "/c"]
    record = EnvironmentRecord(os="Linux")
    for name in names:
        record.disk[name].total = 1
        record.slurm[name] = "x"
    environment = Environment()
    environment.apply(record.SerializeToString())
    told = json.loads(environment.metadata_json() or b"")
    assert (list(told["disk"]), list(told["slurm"])) == (sorted(names), sorted(names))
