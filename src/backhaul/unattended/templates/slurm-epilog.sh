#!/bin/bash
# An epilog for a cluster's nodes: brings home what a job has left behind, also a job without a wrapper.
# For administrators. In slurm.conf:  Epilog=/etc/slurm/backhaul-epilog.sh
# slurmd runs it as root on every node of a job at its end, and takes the node out of service when it fails: so it
# always ends with 0, and within the time given below.

# CHANGE: where the users' runs lie on the nodes.
folder="/scratch/${SLURM_JOB_USER:-}"
# CHANGE: seconds for which the node may wait.
seconds=60

if [ -n "${SLURM_JOB_USER:-}" ] && [ -d "$folder" ]; then
  # As the user, with his own login for W&B (~/.netrc) and his own state folder. A run that another node sends at the same
  # moment is left to it.
  timeout --kill-after=5 "$((seconds + 5))" \
    runuser --user "$SLURM_JOB_USER" -- \
    env HOME="$(getent passwd "$SLURM_JOB_USER" | cut -d: -f6)" \
    backhaul sync "$folder" --deadline "$seconds" \
    >/dev/null 2>&1 </dev/null
fi
exit 0
