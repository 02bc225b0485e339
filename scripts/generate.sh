#!/usr/bin/env bash
# Writes again everything in the repository that is generated, from the program itself.
set -euo pipefail
cd "$(dirname "$0")/.."

# With the tests, since what they are built with is built once for both.
cargo build --release --workspace --all-targets
decant=target/release/decant
mkdir -p docs/schema
$decant schema fleet > docs/schema/fleet.schema.json
$decant schema plan > docs/schema/plan.schema.json
