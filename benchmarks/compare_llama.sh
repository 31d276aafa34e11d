#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-only
# Prefill and decode speed of rlx-run against llama.cpp's llama-bench on the same GGUF file, run in turn so that both see
# the same machine. Prints every round, then medians and their ratios.
#   benchmarks/compare_llama.sh MODEL.gguf LLAMA_BENCH [ROUNDS=5] [THREADS=nproc]
set -euo pipefail
model=$1 llama_bench=$2 rounds=${3:-5} threads=${4:-$(nproc)}
rlx_run=$(dirname "$0")/../build/release/bin/rlx-run
prompt=512 tokens=64

ids=$(seq -s, 1000 $((999 + prompt)))
number() { sed -nE "s/.*\"$1\": ?([0-9.]+).*/\1/p" | head -n1; }
median() { sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '%-6s %14s %14s %14s %14s\n' round 'rlx prefill' 'llama prefill' 'rlx decode' 'llama decode'
for round in $(seq "$rounds"); do
    "$rlx_run" run --weights "$model" --prompt-ids "$ids" --max-tokens $((tokens + 1)) --max-seq 1024 --ignore-eos --threads "$threads" \
        --json --quiet >"$work/rlx"
    "$llama_bench" -m "$model" -t "$threads" -p $prompt -n $tokens -r 1 -o json 2>/dev/null | tr -d '\n' | sed 's/},/}\n/g' >"$work/llama"
    a=$(number prefill_tokens_per_s <"$work/rlx") b=$(sed -n 1p "$work/llama" | number avg_ts)
    c=$(number decode_tokens_per_s <"$work/rlx") d=$(sed -n 2p "$work/llama" | number avg_ts)
    echo "$a" >>"$work/a"; echo "$b" >>"$work/b"; echo "$c" >>"$work/c"; echo "$d" >>"$work/d"
    printf '%-6s %14.1f %14.1f %14.1f %14.1f\n' "$round" "$a" "$b" "$c" "$d"
done
a=$(median <"$work/a") b=$(median <"$work/b") c=$(median <"$work/c") d=$(median <"$work/d")
printf '%-6s %14.1f %14.1f %14.1f %14.1f\n' median "$a" "$b" "$c" "$d"
awk -v a="$a" -v b="$b" -v c="$c" -v d="$d" 'BEGIN {printf "ratio rlx / llama.cpp: prefill %.2f, decode %.2f\n", a / b, c / d}'
