#!/usr/bin/env bash
# Installs the system packages that building, testing and the demo need and that are missing. Says what it installs;
# where nothing is missing it does nothing and needs no rights.
set -euo pipefail

missing=()
need() { # need PACKAGE COMMAND...: the package is missing if any of its commands is
    local package=$1 command
    shift
    for command in "$@"; do
        command -v "$command" >/dev/null 2>&1 || { missing+=("$package"); return; }
    done
}

need g++ g++                     # HiGHS, the solver, is C++
need gcc gcc                     # the demo's guests are compiled on the spot
need binutils ld objcopy
need cmake cmake                 # HiGHS's own build
need rsync rsync                 # disks from host to host
need qemu-system-x86 qemu-system-x86_64
need qemu-utils qemu-img
need python3 python3             # `make mutants`
[ -x /usr/sbin/qemu-ga ] || missing+=(qemu-guest-agent) # a test asks it whether it lives; not everybody's PATH has it
[ -x /usr/bin/time ] || missing+=(time) # the benchmark weighs processes with it; the shell's own word does not
# Bindings to HiGHS are made by libclang, a library: no command tells whether it is there. libclang-cpp is another one.
has_libclang() {
    local file
    for file in /usr/lib/llvm-*/lib/libclang[.-]*so* /usr/lib/*/libclang[.-]*so*; do
        case $file in
        */libclang-cpp*) ;;
        *) [ -e "$file" ] && return 0 ;;
        esac
    done
    return 1
}
if [ -z "${LIBCLANG_PATH:-}" ] && ! has_libclang; then
    missing+=(libclang-dev)
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: there is no cargo. Install the Rust toolchain first: https://rustup.rs" >&2
    exit 1
fi
[ ${#missing[@]} -eq 0 ] && exit 0

echo "setup: missing: ${missing[*]}" >&2
if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: this is neither Debian nor Ubuntu. Install what provides these Debian packages, then run again." >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "setup: installing needs root. Run: sudo apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo -n)
fi
export DEBIAN_FRONTEND=noninteractive
install() {
    "${as_root[@]}" apt-get install --yes --quiet --no-install-recommends "$@" >/dev/null
}

echo "setup: refreshing the package lists" >&2
"${as_root[@]}" apt-get update --quiet >/dev/null || echo "setup: the lists could not be refreshed; trying with what is there" >&2

# The two halves of QEMU must be of one version, and installing one may remove another version's other half (Debian and
# its backports differ): both are named in one command, in the version in which the emulator is offered.
packages=()
for package in "${missing[@]}"; do
    case $package in
    qemu-system-x86 | qemu-utils) qemu=yes ;;
    *) packages+=("$package") ;;
    esac
done
if [ -n "${qemu:-}" ]; then
    version=$(apt-cache policy qemu-system-x86 | awk '/Candidate:/ { print $2 }')
    if [ -z "$version" ] || [ "$version" = "(none)" ]; then
        echo "setup: no package source offers qemu-system-x86. Add your distribution's main archive to apt's sources." >&2
        exit 1
    fi
    packages+=("qemu-system-x86=$version" "qemu-utils=$version" --allow-downgrades)
fi
echo "setup: installing ${packages[*]}" >&2
if ! install "${packages[@]}"; then
    echo "setup: apt-get could not install them; its message is above. Nothing else was changed." >&2
    exit 1
fi
echo "setup: done" >&2
