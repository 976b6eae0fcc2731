"""Which of the processes of a distributed job this is, by what its launcher puts into the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# (local rank, global rank, size), in the order in which they are believed: an inner launcher before an outer one.
_LAUNCHERS = (
    ("LOCAL_RANK", "RANK", "WORLD_SIZE"),  # torchrun, accelerate, deepspeed
    ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),  # MVAPICH2
    ("PALS_LOCAL_RANKID", "PALS_RANKID", "PALS_SIZE"),  # HPE Cray
    ("JSM_NAMESPACE_LOCAL_RANK", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"),  # IBM jsrun
    ("MPI_LOCALRANKID", "PMI_RANK", "PMI_SIZE"),  # Intel MPI, MPICH
    ("SLURM_LOCALID", "SLURM_PROCID", "SLURM_NTASKS"),  # srun; in a batch script 0, 0
)


@dataclass(frozen=True, slots=True)
class Rank:
    """A process's place among `size` processes; `local` is its place on this host."""

    local: int
    size: int

    @property
    def is_first_here(self) -> bool:
        """Whether this one acts for all on this host."""
        return self.local == 0


ALONE = Rank(0, 1)


def rank_of(env: Mapping[str, str]) -> Rank:
    """The rank of a process with this environment; `ALONE` when no launcher says otherwise.

    Without a local rank (plain PMI) the overall one takes its place: then one process acts for all hosts.
    """
    for names in _LAUNCHERS:
        local, overall, size = (_number(env.get(name)) for name in names)
        if overall is not None:
            return Rank(overall if local is None else local, size or 1)
    return ALONE


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
