#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-only
# Installs the Debian packages of a build in a fresh Debian 12, uses them, purges them and looks for what is left.
# Needs root, debootstrap and a network; so it is run by hand:  sudo tests/package/in_chroot.sh ROOT [BUILD]
# ROOT is made by debootstrap unless it is there, and stays. MIRROR names another mirror than debootstrap's own.
set -euo pipefail

root=${1:?usage: in_chroot.sh ROOT [BUILD]}
build=${2:-$(dirname "$0")/../../build/release}
say() { printf '\n== %s\n' "$*"; }
die() { printf 'in_chroot.sh: %s\n' "$*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || die "needs root"

if [ ! -d "$root/usr" ]; then
    say "debootstrap into $root"
    debootstrap --variant=minbase bookworm "$root" ${MIRROR:+"$MIRROR"} >"$root.log" 2>&1 || die "failed, see $root.log"
    # A machine that reaches its mirror in a special way reaches it so from inside too. Only into the new tree: later its
    # certificates may be links, which from here lead to this machine's.
    if grep -qs 'VERSION_CODENAME=bookworm' /etc/os-release; then
        cp -rT /etc/apt "$root/etc/apt"
        if [ -d /etc/ssl/certs ]; then mkdir -p "$root/etc/ssl" && cp -rLT /etc/ssl/certs "$root/etc/ssl/certs"; fi
    fi
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
fi
leave() {
    for dir in sys dev proc; do mountpoint -q "$root/$dir" && umount "$root/$dir"; done
    rm -rf "$root/tmp/rlx-debs" "$root/tmp/rlx-dev"
}
trap leave EXIT
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t sysfs sys "$root/sys"
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
somebody() { inside setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp "$@"; }

say "packing $build"
rm -rf "$root/tmp/rlx-debs" && mkdir -p "$root/tmp/rlx-debs"
cpack -G DEB --config "$build/CPackConfig.cmake" -B "$root/tmp/rlx-debs" >/dev/null
rm -rf "$root/tmp/rlx-debs/_CPack_Packages"
ls -l "$root/tmp/rlx-debs"

# Every file but those of apt and dpkg themselves, logs and caches.
files() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./tmp -o -path ./var/cache \
        -o -path ./var/log -o -path ./var/lib/apt -o -path ./var/lib/dpkg \) -prune -o -print | sort)
}

say "installing"
inside apt-get update -q >/dev/null
inside apt-get install -y -q --no-install-recommends g++ cmake make pkg-config >/dev/null # for the authors of plugins
files >"$root.before"
inside sh -c 'apt-get install -y -q --no-install-recommends /tmp/rlx-debs/*.deb'

say "using"
inside dpkg -V rlx librlx0 rlx-plugins librlx-dev
somebody rlx-run --version
somebody rlx-run plugins
somebody rlx-run help --list devices
model=/usr/share/rlx/models/rlx-stories.gguf
somebody rlx-run run --weights $model --chat --prompt "Tell me a story about a fox." --max-tokens 40
somebody rlx-qwen3 --weights $model --prompt "Once upon a time," --max-tokens 8 --json --quiet
somebody rlx-inspect $model
inside sh -c 'for program in /usr/bin/rlx-*; do test -s /usr/share/man/man1/$(basename $program).1.gz || exit 1; done'
inside bash -c 'source /usr/share/bash-completion/completions/rlx-run
    COMP_WORDS=(rlx-run run --kv ""); COMP_CWORD=3; _rlx_run; [ "${COMPREPLY[*]}" = "f16 f32" ]'

say "developing"
somebody sh -ec 'rm -rf /tmp/rlx-dev && mkdir /tmp/rlx-dev && cd /tmp/rlx-dev
    cp -r /usr/share/rlx/templates/template-family by-cmake
    cp -r /usr/share/rlx/templates/template-c11 by-make
    cp -r /usr/share/doc/rlx/examples/c-generate program
    cmake -S by-cmake -B by-cmake/build >/dev/null && cmake --build by-cmake/build >/dev/null
    make -s -C by-make && make -s -C program
    rlx-plugin-check by-cmake/build/lib/rlx/plugins/*.so | tail -1
    rlx-plugin-check by-make/build/*.so | tail -1
    rlx-run auto by-cmake/checkpoint --plugin-dir /tmp/rlx-dev/by-cmake/build/lib/rlx/plugins --quiet \
        --prompt "Once there was a little fox" --max-tokens 20
    program/c-generate /usr/share/rlx/models/rlx-stories.gguf "Once upon a time,"'

say "purging"
inside sh -c 'apt-get purge -y -q --auto-remove rlx librlx0 rlx-plugins librlx-dev'
inside sh -c '! dpkg-query -W -f "\${Package} \${Status}\n" | grep rlx'
files >"$root.after"
diff "$root.before" "$root.after" || die "the purge left or took something"
say "nothing is left"
