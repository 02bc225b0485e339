#!/usr/bin/env bash
# Kills `decant apply` at fifty random moments of evacuations of real guests, and checks every disk. Another run kills at
# other moments: the seed is printed, and DECANT_SEED repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."
export DECANT_KILLS=${DECANT_KILLS:-50} DECANT_SEED=${DECANT_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "chaos: DECANT_KILLS=$DECANT_KILLS DECANT_SEED=$DECANT_SEED" >&2
exec cargo test --release --test guests -- --nocapture killed
