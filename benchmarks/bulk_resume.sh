#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-only
# A bulk run of rlx-embed, watched: once whole, once killed by SIGKILL half way and resumed; the two files must be equal.
#
# Usage: bulk_resume.sh MODEL LINES [WORK] [more flags of rlx-embed...]
#
# rlx-embed is the one in PATH. WORK (default: a temporary folder) gets the input, both outputs and rss.txt: seconds and
# resident KiB of the whole run, a line per second. Prints rates and the resident memory in tenths of the run; exits 1
# when a file differs or memory grew by more than 5 % between the second tenth and the end.
set -euo pipefail

model=$1
lines=$2
work=${3:-$(mktemp -d)}
shift $(($# < 3 ? $# : 3))
mkdir -p "$work"
rm -f "$work"/whole.f32* "$work"/cut.f32* "$work/rss.txt"

# Short lines of 3 to 12 words, all different, the same on every machine.
awk -v n="$lines" 'BEGIN {
    split("the word of a patient was not what all had by fever and chest pain since one day it is for this cell model text", w, " ")
    s = 1
    for (i = 0; i < n; i++) {
        line = i
        s = (s * 16807) % 2147483647
        for (k = 2 + s % 10; k > 0; k--) { s = (s * 16807) % 2147483647; line = line " " w[1 + s % 24] }
        print line
    }
}' > "$work/lines.txt"

embed() { # output, more flags; never returns, so that a background job is the program itself
    local out=$1
    shift
    exec rlx-embed --weights "$model" "$work/lines.txt" --truncate --progress none --out "$out" "$@"
}

rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status" 2> /dev/null; }

start=$(date +%s.%N)
embed "$work/whole.f32" "$@" &
pid=$!
while sleep 1 && kill -0 "$pid" 2> /dev/null; do
    echo "$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.0f", b - a }') $(rss "$pid" || true)" >> "$work/rss.txt"
done
wait "$pid"
awk -v a="$start" -v b="$(date +%s.%N)" -v n="$lines" 'BEGIN { printf "whole    %d lines in %.1f s, %.0f lines/s\n", n, b - a, n / (b - a) }'

half=$(($(stat -c %s "$work/whole.f32") / 2))
embed "$work/cut.f32" "$@" &
pid=$!
while kill -0 "$pid" 2> /dev/null && [ "$(stat -c %s "$work/cut.f32.part" 2> /dev/null || echo 0)" -lt "$half" ]; do sleep 0.2; done
kill -KILL "$pid"
wait "$pid" || true
[ ! -e "$work/cut.f32" ] || { echo "it was done before it could be killed; give more lines"; exit 1; }
echo "killed   at $(stat -c %s "$work/cut.f32.part") of $((half * 2)) bytes; journal: $(tail -n 1 "$work/cut.f32.journal" | cut -c 1-80)"
start=$(date +%s.%N)
(embed "$work/cut.f32" --resume "$@")
awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "resumed  in %.1f s\n", b - a }'
cmp "$work/whole.f32" "$work/cut.f32"
echo "equal    $(sha256sum < "$work/cut.f32" | cut -c 1-16), $(stat -c %s "$work/cut.f32") bytes"

awk 'NF == 2 { r[++n] = $2 } END {
    printf "memory   MiB at each tenth of the run:"
    for (i = 1; i <= 10; i++) { k = int(n * i / 10); if (k < 1) k = 1; printf " %.1f", r[k] / 1024 }
    printf "\n"
    k = int(n / 5); if (k < 1) k = 1
    if (r[n] > 1.05 * r[k]) { print "memory grows"; exit 1 }
}' "$work/rss.txt"
