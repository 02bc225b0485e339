#!/usr/bin/env bash
# Writes again everything in the repository that is generated, from the program itself.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --workspace
decant=target/release/decant
mkdir -p docs/schema
$decant schema fleet > docs/schema/fleet.schema.json
$decant schema plan > docs/schema/plan.schema.json
