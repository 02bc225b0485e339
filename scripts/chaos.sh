#!/usr/bin/env bash
# Real guests are evacuated while processes are killed, stopped and continued, disks fill up, copies are taken away and the
# store is restored from a backup: two hundred faults; and `decant apply` is killed at fifty random moments. Every disk is
# checked. Another run does other things at other moments: the seed is printed, and DECANT_SEED repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."
export DECANT_FAULTS=${DECANT_FAULTS:-200} DECANT_KILLS=${DECANT_KILLS:-50} DECANT_SEED=${DECANT_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "chaos: DECANT_FAULTS=$DECANT_FAULTS DECANT_KILLS=$DECANT_KILLS DECANT_SEED=$DECANT_SEED" >&2
exec cargo test --release --workspace --test guests -- --nocapture --test-threads=1 whatever_happens killed_at_random
