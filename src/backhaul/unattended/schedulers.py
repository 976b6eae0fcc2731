"""The files that `backhaul init` prints: one or more for each scheduler, kept as they are beside the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Template:
    """One file: which scheduler and which part of it, the name under which it is kept, and what it is for."""

    kind: str
    part: str
    file: str
    purpose: str

    def text(self) -> str:
        """The file itself."""
        return (files("backhaul.unattended") / "templates" / self.file).read_text(encoding="utf-8")


_ALL = (
    Template("slurm", "job", "slurm-job.sh", "a batch script: drains before the time limit"),
    Template("slurm", "requeue", "slurm-requeue.sh", "a batch script that puts itself back until it is done"),
    Template("slurm", "epilog", "slurm-epilog.sh", "for the nodes: what jobs have left goes home"),
    Template("pbs", "job", "pbs-job.sh", "a batch script: announces its own time limit"),
    Template("systemd", "watch", "systemd-watch.service", "a service that watches folders"),
    Template("systemd", "sync", "systemd-sync.service", "one sync, for the timer"),
    Template("systemd", "timer", "systemd-sync.timer", "starts it every quarter of an hour"),
    Template("cron", "crontab", "cron-crontab", "a sync every quarter of an hour"),
    Template("aws-batch", "job-definition", "aws-batch-job-definition.yaml", "a job on spot instances"),
    Template("sagemaker", "training-job", "sagemaker-training-job.yaml", "a job on managed spot capacity"),
    Template("kubernetes", "job", "kubernetes-job.yaml", "a job with its volume"),
    Template("kubernetes", "sweeper", "kubernetes-sweeper.yaml", "what is left on the volume goes home"),
)

TEMPLATES: Mapping[str, Mapping[str, Template]] = {
    kind: {each.part: each for each in _ALL if each.kind == kind} for kind in dict.fromkeys(each.kind for each in _ALL)
}
"""Templates by scheduler and part; the first part of each is the one that is meant when none is named."""
