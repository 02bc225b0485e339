#!/usr/bin/env bash
# Measures the downtime of suspended moves with real guests, by the size of the base; docs/PERFORMANCE.md shows a run.
# Needs QEMU, rsync, and room for three times the largest base where temporary files lie (TMPDIR).
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo run --quiet --release -p decant-executor --example downtime -- "${TMPDIR:-/tmp}" "$@"
