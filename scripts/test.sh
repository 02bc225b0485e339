#!/usr/bin/env bash
# Every test: units, properties, transcripts, real virtual machines, examples in the documentation.
set -euo pipefail
cd "$(dirname "$0")/.."

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release --workspace --no-fail-fast
else
    cargo test --release --workspace --lib --bins --tests --examples --no-fail-fast
fi
cargo test --release --workspace --doc
