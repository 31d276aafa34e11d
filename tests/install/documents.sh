#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-only
# documents.sh PREFIX INSTALLED: the documents of an installation that was made for the prefix INSTALLED and lies in
# PREFIX: no link leads out of it, no command is of the source tree, and every script in them runs.
set -euo pipefail
prefix=$1 installed=$2
failed=0
fail() {
    echo "$*" >&2
    failed=1
}

prose() { awk '/^```/ {code = !code; next} !code' "$1"; }

while IFS= read -r document; do
    while IFS= read -r link; do
        case $link in http:* | https:* | '') continue ;; esac
        [ -e "$(dirname "$document")/$link" ] || fail "$document: the link to $link leads nowhere"
    done < <(prose "$document" | grep -oE '\]\([^)]*\)' | sed -E 's/^..//; s/[)#].*//' || true)
done < <(find "$prefix/share/doc/rlx" "$prefix/share/rlx" -name '*.md')

# testing.md is about the source tree; plugin-tutorial.md has a test of its own.
scripts=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for document in "$prefix"/share/doc/rlx/README.md "$prefix"/share/doc/rlx/docs/*.md; do
    case $document in */testing.md | */plugin-tutorial.md) continue ;; esac
    awk '/^```sh$/ {on = 1; next} /^```/ {on = 0} on' "$document" > "$work/shown"
    [ -s "$work/shown" ] || continue
    scripts=$((scripts + 1))
    sed "s|$installed||g" "$work/shown" | grep -nE 'build/release|bootstrap|goldens|families/' &&
        fail "$document: a command of the source tree"
    sed "s|$installed|$prefix|g" "$work/shown" > "$work/script"
    (cd "$work" && PATH="$prefix/bin:$PATH" bash -euo pipefail script > out 2> err) ||
        fail "$document: $(cat "$work/err")"
done
[ $scripts -ge 5 ] || fail "only $scripts documents with commands"
exit $failed
