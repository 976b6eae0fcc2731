#!/bin/bash
# A training job under Slurm whose W&B runs go home by themselves:  sbatch FILE
# Lines to look at are marked with CHANGE.

#SBATCH --job-name=train
#SBATCH --output=%x-%j.out
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --time=24:00:00
# CHANGE: partition, memory, GPUs, for example
##SBATCH --partition=gpu
##SBATCH --gres=gpu:1

# Two minutes before the time limit Slurm sends USR1 to this script, and only to it (B:). Backhaul then sends what is
# recorded so far. Your program gets USR1 only if it catches it; then it may write its checkpoint.
#SBATCH --signal=B:USR1@120

# Where the runs are recorded. Best a folder that a login node sees too: what does not get home from here is brought home
# from there, by `backhaul watch` or cron.
export WANDB_DIR="${WANDB_DIR:-$SLURM_SUBMIT_DIR}"

# CHANGE: SQLite does not work on NFS, where most homes lie; the queue may be on the node's own disk, or in PostgreSQL.
export BACKHAUL_QUEUE="${BACKHAUL_QUEUE:-${TMPDIR:-/tmp}/backhaul-$SLURM_JOB_ID.db}"

# exec: Slurm's signals come to Backhaul, and the job's exit code is Slurm's.
# --deadline is less than the two minutes above. On a node without a way out it gives up after some seconds.
exec backhaul run --deadline 100 -- \
  python train.py  # CHANGE. With several tasks: srun python train.py, or torchrun … train.py
