#!/bin/bash
# A training job under PBS (OpenPBS, PBS Pro) whose W&B runs go home by themselves:  qsub FILE
# Lines to look at are marked with CHANGE.

#PBS -N train
#PBS -j oe
#PBS -l select=1:ncpus=4:mem=16gb
#PBS -l walltime=24:00:00
# Started again when its node fails.
#PBS -r y

cd "$PBS_O_WORKDIR" || exit 1
export WANDB_DIR="${WANDB_DIR:-$PBS_O_WORKDIR}"
# CHANGE: a queue on the node's own disk, or in PostgreSQL; SQLite does not work on NFS, where most homes lie.
export BACKHAUL_QUEUE="${BACKHAUL_QUEUE:-${TMPDIR:-/tmp}/backhaul-$PBS_JOBID.db}"

# PBS gives notice of the time limit by TERM, and often only ten seconds of it (kill_delay). So we announce it ourselves: two
# minutes before, `timeout` sends USR1, at which Backhaul sends what is recorded so far, and goes on waiting.
# CHANGE: 86280 s are the walltime above, less those two minutes.
exec timeout --preserve-status --signal=USR1 86280 \
  backhaul run --deadline 100 -- \
  python train.py  # CHANGE
