"""Environment records (SDK 0.21 on) → the text of `wandb-metadata.json`."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format

from backhaul.wandblog.schema import DecodeError, EnvironmentRecord
from backhaul.wandblog.state import State, bytes_of, text_of

_MAPS = ("disk", "slurm")


class Environment:
    """What the run was recorded on; later non-empty fields replace earlier ones."""

    def __init__(self) -> None:
        self._merged = EnvironmentRecord()
        self._seen = False
        # What is made of it is asked for several times a run, and takes long to make.
        self._members: dict[str, Any] | None = None

    def state(self) -> State:
        """What was taken so far."""
        return {"merged": text_of(self._merged.SerializeToString(deterministic=True)), "seen": self._seen}

    def restore(self, state: State) -> None:
        """Go on from a `state()`."""
        self._merged, self._seen = EnvironmentRecord.FromString(bytes_of(state["merged"])), state["seen"]
        self._members = None

    def apply(self, data: bytes) -> None:
        """Take the bytes of record type 26.

        0.16.5 and 0.16.6 wrote another message under this number; what does not decode, or decodes to nothing that an
        environment has, is passed over.
        """
        try:
            record = EnvironmentRecord.FromString(data)
        except DecodeError:
            return
        if record.os or record.python or record.HasField("cpu") or record.cpu_count or record.writer_id:
            self._seen = True
        self._merged.MergeFrom(record)
        self._members = None

    @property
    def program(self) -> str | None:
        """The script that was run, as the recording process saw it."""
        return self._merged.program or None

    @property
    def git(self) -> tuple[str | None, str | None]:
        """Remote address and commit of the script's repository."""
        return self._merged.git.remote_url or None, self._merged.git.commit or None

    def config_value(self) -> dict[str, Any] | None:
        """The object for `_wandb.e`: the environment by the writer's id. None when the log has no environment."""
        if not self._seen:
            return None
        return {self._merged.writer_id or "recorded": self._as_dict()}

    def metadata_json(self) -> bytes | None:
        """The content of `wandb-metadata.json`, or None when the log has no environment."""
        if not self._seen:
            return None
        return json.dumps(self._as_dict(), indent=2, ensure_ascii=False).encode()

    def _as_dict(self) -> dict[str, Any]:
        if self._members is None:
            members = json_format.MessageToDict(self._merged)
            # Of maps, protobuf has another order in each process.
            self._members = members | {name: dict(sorted(members[name].items())) for name in _MAPS if name in members}
        return self._members
