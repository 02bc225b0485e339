#!/usr/bin/env bash
# Measures the planner and its peers on the same fleets in one run, and writes docs/PERFORMANCE.md.
# `scripts/bench.sh --quick` takes the small fleets alone, without peers and without writing anything.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --quick ]; then
    # With the tests, since what they are built with is built once for both.
    cargo build --release --workspace --all-targets
    exec cargo bench --profile release --workspace --bench scale -- --quick
fi

# The command that is measured is the one that is shipped.
cargo build --release --workspace

# The peers come from package registries, into a folder of their own; one that cannot be had is left out.
peers=target/peers
if [ ! -x $peers/bin/python ]; then
    echo "bench: installing the peers into $peers" >&2
    python3 -m venv $peers
    $peers/bin/pip install --quiet ortools highspy proxlb-solver || echo "bench: some peers are missing" >&2
fi
command -v hbal >/dev/null || apt-get install --yes --quiet --no-install-recommends ganeti-htools >/dev/null \
    || echo "bench: hbal is missing" >&2
exec cargo bench --profile release --workspace --bench scale -- --peers "$PWD/$peers/bin/python" --page "$PWD/docs/PERFORMANCE.md" "$@"
