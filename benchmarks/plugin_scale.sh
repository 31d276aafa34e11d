#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-only
# What very many plugins cost: `rlx-run plugins` and the search for a model's family by `rlx-run auto`, with the index
# (warm) and without it (cold), beside the same with no more plugins. Elapsed time suffers from other work on the machine,
# processor time (user and system) hardly does.
#   benchmarks/plugin_scale.sh [PLUGINS=500] [ROUNDS=31] [BUILD=build/release]
set -euo pipefail
n=${1:-500} rounds=${2:-31} build=${3:-$(dirname "$0")/../build/release}
rlx_run=$build/bin/rlx-run
model=$(dirname "$0")/../families/qwen3/stories/rlx-stories.gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$build/tests/plugin_farm" "$work/many" "$n"
mkdir "$work/none"

# measure <label> <cold|warm> <plugin dir> <command...>
measure() {
    local label=$1 state=$2 dir=$3
    shift 3
    export RLX_PLUGIN_PATH=$dir RLX_CACHE_DIR=$work/cache-$(basename "$dir")
    "$@" >/dev/null 2>&1 || true
    local TIMEFORMAT='%R %U %S'
    for ((i = 0; i < rounds; i++)); do
        if [[ $state == cold ]]; then rm -rf "$RLX_CACHE_DIR"; fi
        { time "$@" >/dev/null 2>&1; } 2>&1 || true
    done | awk '{print 1000 * $1, 1000 * ($2 + $3)}' >"$work/times"
    printf '%-46s elapsed median %4.0f ms, best %4.0f ms; processor median %4.0f ms\n' "$label" \
        "$(median 1)" "$(cut -d' ' -f1 "$work/times" | sort -g | head -n1)" "$(median 2)"
}

median() { cut -d' ' -f"$1" "$work/times" | sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

for dir in none many; do
    what=$([[ $dir == none ]] && echo "0 more plugins" || echo "$n more plugins")
    for state in warm cold; do
        measure "plugins, $what, $state" $state "$work/$dir" "$rlx_run" plugins
        measure "auto (plan of a model), $what, $state" $state "$work/$dir" "$rlx_run" auto --weights "$model" --plan
    done
done
