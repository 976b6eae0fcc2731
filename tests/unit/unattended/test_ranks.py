"""Which process of a distributed job acts for the others."""

from __future__ import annotations

import pytest

from backhaul.unattended.ranks import ALONE, Rank, rank_of


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, ALONE),
        ({"RANK": "9", "LOCAL_RANK": "1", "WORLD_SIZE": "16"}, Rank(1, 16)),
        ({"OMPI_COMM_WORLD_RANK": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "0", "OMPI_COMM_WORLD_SIZE": "8"}, Rank(0, 8)),
        ({"PMI_RANK": "3", "PMI_SIZE": "4"}, Rank(3, 4)),
        ({"PMI_RANK": "3", "PMI_SIZE": "4", "MPI_LOCALRANKID": "0"}, Rank(0, 4)),
        ({"SLURM_PROCID": "2", "SLURM_LOCALID": "0", "SLURM_NTASKS": "4"}, Rank(0, 4)),
        # torchrun within srun: the inner launcher counts.
        (
            {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NTASKS": "2", "RANK": "5", "LOCAL_RANK": "5"},
            Rank(5, 1),
        ),
        ({"RANK": "first", "LOCAL_RANK": "", "SLURM_PROCID": "-1"}, ALONE),
    ],
)
def test_a_rank_is_what_the_innermost_launcher_says(env: dict[str, str], expected: Rank) -> None:
    """Without a local rank the overall one counts; what is no number is not believed."""
    assert rank_of(env) == expected


def test_the_first_on_each_host_acts() -> None:
    """Folders may be local to a host, so that one process on each has to look."""
    assert [Rank(local, 4).is_first_here for local in (0, 1, 0)] == [True, False, True]
