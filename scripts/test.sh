#!/usr/bin/env bash
# Every test: units, properties, transcripts, real virtual machines, examples in the documentation.
set -euo pipefail
cd "$(dirname "$0")/.."

# The guests' tests run once more on a newer QEMU than most distributions have, where it can be had.
if beside=$(scripts/qemu-beside.sh bookworm-backports); then
    export DECANT_TEST_QEMU=$beside
fi

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release --workspace --no-fail-fast
else
    cargo test --release --workspace --lib --bins --tests --examples --no-fail-fast
fi
cargo test --release --workspace --doc
