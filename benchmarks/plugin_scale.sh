#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-only
# What very many plugins cost: `rlx-run plugins` and `rlx-run auto --help`-like discovery of a model's family, with the
# index (warm), without it (cold), and in an empty folder (the program alone). Prints medians and minima in ms.
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
    for ((i = 0; i < rounds; i++)); do
        if [[ $state == cold ]]; then rm -rf "$RLX_CACHE_DIR"; fi
        local begin=${EPOCHREALTIME/./}
        "$@" >/dev/null 2>&1 || true
        echo $((${EPOCHREALTIME/./} - begin))
    done | sort -g | awk -v label="$label" '{v[NR] = $1} END {printf "%-44s median %6.1f ms, best %6.1f ms\n", label, v[int((NR + 1) / 2)] / 1000, v[1] / 1000}'
}

for dir in none many; do
    what=$([[ $dir == none ]] && echo "0 more plugins" || echo "$n more plugins")
    for state in warm cold; do
        measure "plugins, $what, $state" $state "$work/$dir" "$rlx_run" plugins
        measure "auto (plan of a model), $what, $state" $state "$work/$dir" "$rlx_run" auto --weights "$model" --plan
    done
done
