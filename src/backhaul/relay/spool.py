"""Where a depot's runs lie as run directories until they are home.

Beside the log, under `contents/`, lie the bytes that the run needs, each under the name that it has in the depot: the
depot's own where they are files of the same file system, else copies. The run's files are links to them.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from backhaul.depot.keeping import Kept
from backhaul.depot.model import EVENTS, HISTORY, OUTPUT, Run
from backhaul.depot.refusal import Refused
from backhaul.errors import UnreadableFile
from backhaul.relay.artifact_records import ArtifactRecords
from backhaul.relay.transcript import Held, records
from backhaul.runs.directory import RunDirectory
from backhaul.runs.new_file import new_file, unwritable
from backhaul.wandblog import LogWriter

_STAMP, _CONTENTS = "forwarded", "contents"
# Made anew of the log by whoever sends it.
_MADE_OF_LOG = frozenset({"wandb-summary.json", "config.yaml", "output.log"})
_COPIED_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Spool:
    """The run directories for one destination, one for each run of the depot, in `folder`.

    A log is made anew whenever its run has changed; the ledger beside it stays. `entity` is where the depot puts runs
    that name none; at the destination they belong to its default entity.
    """

    folder: Path
    kept: Kept
    entity: str
    clock: Callable[[], float] = time.time

    def state_of(self, run: Run) -> str:
        """The run's state now: a silent one has crashed."""
        return run.state_at(self.clock())

    def fingerprint(self, run: Run) -> str:
        """Changes when there is more to send of the run."""
        store, state = self.kept.store, self.state_of(run)
        files = [(file.name, file.md5) for file in store.files(run.id)]
        artifacts = [(artifact.id, artifact.updated_at) for artifact in store.artifacts.logged(run.id)]
        return json.dumps([run.updated_at, state, str(store.line_counts(run.id)), files, artifacts])

    def is_home(self, run: Run) -> bool:
        """Whether the run as it is now was verified at the destination."""
        try:
            return (self._place(run) / _STAMP).read_text() == self.fingerprint(run)
        except OSError:
            return False

    def note_home(self, run: Run, fingerprint: str) -> None:
        """The run as it was then was verified: what it takes up here, its ledger excepted, is in the depot as well."""
        with new_file(self._place(run) / _STAMP, replace=True) as file:
            file.write(fingerprint.encode())
        directory = self.directory(run)
        shutil.rmtree(directory.files, ignore_errors=True)
        shutil.rmtree(directory.path / _CONTENTS, ignore_errors=True)

    def directory(self, run: Run) -> RunDirectory:
        """Where the run lies here; the ledger beside its log is as lasting as the folder."""
        began = time.strftime("%Y%m%d_%H%M%S", time.gmtime(run.created_at))
        name = quote(run.name, safe="")
        path = self._place(run) / f"offline-run-{began}-{name}"
        return RunDirectory(path, path / f"run-{name}.wandb")

    def write(self, run: Run) -> RunDirectory:
        """Lay the run here as it is now; the log appears whole or stays as it was.

        Raises DiskFull or UsageError when there is no room or no right to write, UnreadableFile when the depot's own
        bytes cannot be read.
        """
        directory = self.directory(run)
        try:
            directory.files.mkdir(parents=True, exist_ok=True, mode=0o700)
            with new_file(directory.log, replace=True) as file:
                writer = LogWriter(file)
                for record in records(self._held(run, directory)):
                    writer.write(record)
        except Refused as refused:
            raise UnreadableFile(f"The depot cannot tell of this run: {refused}") from refused
        except OSError as error:
            raise unwritable(directory.path, error) from error
        return directory

    def _place(self, run: Run) -> Path:
        return self.folder / str(run.id)

    def _held(self, run: Run, directory: RunDirectory) -> Held:
        store = self.kept.store
        state = self.state_of(run)
        return Held(
            run=run,
            entity="" if run.project.entity == self.entity else run.project.entity,
            state=state,
            history=self._lines(run, HISTORY),
            events=self._lines(run, EVENTS),
            # The newest console lines of a run that goes on may still change, and a line has one content for ever.
            output=() if state in ("running", "preempting") else self._lines(run, OUTPUT),
            files=list(self._files(run, directory)),
            artifacts=list(self._artifacts(run, directory)),
            alerts=store.alerts(run.id),
        )

    def _lines(self, run: Run, stream: str) -> Iterator[str]:
        return (line for _, line in self.kept.store.lines(run.id, stream))

    def _files(self, run: Run, directory: RunDirectory) -> Iterator[str]:
        for file in self.kept.store.files(run.id):
            if file.name not in _MADE_OF_LOG:
                _link(directory.files / file.name, self._laid(file.blob, directory))
                yield file.name

    def _artifacts(self, run: Run, directory: RunDirectory) -> Iterator[Any]:
        store, manifests = self.kept.store, self.kept.manifests
        for artifact in store.artifacts.logged(run.id):

            def lay(md5: str, project: int = artifact.collection.project.id) -> Path:
                content = store.artifacts.content(project, md5)
                if content is None:
                    raise UnreadableFile(f"The depot has lost the bytes {md5} of an artifact.")
                return self._laid(content.blob, directory)

            made = ArtifactRecords(self.kept.id, store.client_id, lay)
            yield made.record(artifact, manifests.merged(store.artifacts.manifests(artifact.id)))

    def _laid(self, blob: str, directory: RunDirectory) -> Path:
        """A blob in the run directory, brought once: it never changes, and is not lost when the depot removes it."""
        path = directory.path / _CONTENTS / blob
        if not path.exists():
            path.parent.mkdir(exist_ok=True, mode=0o700)
            try:
                with self.kept.blobs.open(blob) as source:
                    _have_at(path, source)
            except OSError as error:
                raise UnreadableFile(f"The depot's bytes {blob} cannot be read: {error.strerror or error}") from error
        return path


def _have_at(path: Path, source: BinaryIO) -> None:
    """Let the content of `source` lie at `path`. Raises OSError, and what `new_file` raises."""
    try:
        # Another name for an open file, whatever it is called: linkat(2) follows the kernel's name for it.
        descriptor = source.fileno()
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except OSError:
        # No file, or one of another file system.
        with new_file(path, replace=True) as copy:
            shutil.copyfileobj(source, copy, _COPIED_AT_ONCE)


def _link(path: Path, target: Path) -> None:
    """Make `path` a link to `target`, whatever it was before."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.is_symlink() and path.readlink() == target:
        return
    path.unlink(missing_ok=True)
    path.symlink_to(target)
