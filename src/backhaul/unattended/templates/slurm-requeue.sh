#!/bin/bash
# A training job under Slurm that is started again until it is done:  sbatch FILE
# It is put back by Slurm when it is preempted, and by itself when it ends with the exit code 85: that is your program's
# word for "I have written a checkpoint and want to go on". Lines to look at are marked with CHANGE.

#SBATCH --job-name=train
#SBATCH --output=%x-%j.out
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --time=24:00:00
#SBATCH --requeue
# CHANGE: partition, memory, GPUs, for example
##SBATCH --partition=gpu
##SBATCH --gres=gpu:1

# Two minutes before the time limit Slurm sends USR1 to this script, and only to it (B:).
#SBATCH --signal=B:USR1@120

export WANDB_DIR="${WANDB_DIR:-$SLURM_SUBMIT_DIR}"
# CHANGE: a queue on the node's own disk, or in PostgreSQL; SQLite does not work on NFS.
export BACKHAUL_QUEUE="${BACKHAUL_QUEUE:-${TMPDIR:-/tmp}/backhaul-$SLURM_JOB_ID.db}"
# CHANGE: every start is a part of one run. Your program says wandb.init(resume="allow").
export WANDB_RUN_ID="${WANDB_RUN_ID:-job-$SLURM_JOB_ID}"

# In the background, since bash hears no signal while it waits for a program in the foreground.
backhaul run --deadline 100 -- python train.py &  # CHANGE
job=$!
trap 'kill -USR1 "$job"' USR1
trap 'kill -TERM "$job"' TERM

# `wait` comes back at every signal, and the job may go on; when it is gone, bash still knows its exit code.
wait "$job"
while kill -0 "$job" 2>/dev/null; do
  wait "$job"
done
wait "$job"
code=$?

if [ "$code" -eq 85 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
