#!/usr/bin/env bash
# Unpacks another release's QEMU beside the installed one and prints the folder of its programs: put it first in PATH, and
# everything here runs on that QEMU. Nothing is installed or removed. Where the release cannot be had, it says so and fails.
#
#     PATH="$(scripts/qemu-beside.sh bookworm-backports):$PATH" target/release/decant demo
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${1:-bookworm-backports}
place="$PWD/target/qemu/$suite"
bin="$place/bin"
if [ -x "$bin/qemu-system-x86_64" ] && [ -x "$bin/qemu-img" ]; then
    echo "$bin"
    exit 0
fi
command -v apt-get >/dev/null || { echo "qemu-beside: this is neither Debian nor Ubuntu" >&2; exit 1; }

# apt with lists, cache and sources of its own: what the machine installs from stays as it is.
mkdir -p "$place"/{parts,lists/partial,cache/archives/partial,root} "$bin"
found=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null || true)
archive=$(head -n 1 <<<"$found" | tr -d ' ')
[ -n "$archive" ] || { echo "qemu-beside: no Debian archive in apt's sources" >&2; exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] $archive $suite main" > "$place/parts/suite.list"
case $suite in # what a backport needs and does not bring along comes from its own release
*-backports) echo "deb [signed-by=$keyring] $archive ${suite%-backports} main" >> "$place/parts/suite.list" ;;
esac
# Nothing counts as installed, so that all it needs is fetched.
: > "$place/status"
apt=(apt-get --quiet -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$place/parts"
    -o "Dir::State::lists=$place/lists" -o "Dir::State::status=$place/status" -o "Dir::Cache=$place/cache"
    -o "APT::Sandbox::User=root")
echo "qemu-beside: fetching QEMU of $suite" >&2
"${apt[@]}" update >&2
"${apt[@]}" --yes --no-install-recommends --download-only --target-release "$suite" install qemu-system-x86 qemu-utils >&2
for package in "$place"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$place/root"
done

# Its own loader and libraries, its own firmware. A release where /lib is no link has its loader there.
loader=$(find "$place/root" -name 'ld-linux-x86-64.so.2' | head -n 1)
[ -n "$loader" ] || { echo "qemu-beside: the packages hold no loader" >&2; exit 1; }
libraries=$(find "$place/root" -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)
for program in qemu-system-x86_64 qemu-img qemu-io; do
    firmware=
    [ $program != qemu-system-x86_64 ] || firmware="-L $place/root/usr/share/qemu -L $place/root/usr/share/seabios"
    printf '#!/bin/sh\nexec %s --library-path %s %s %s "$@"\n' \
        "$loader" "$libraries" "$place/root/usr/bin/$program" "$firmware" > "$bin/$program"
    chmod +x "$bin/$program"
done
"$bin/qemu-system-x86_64" --version | head -n 1 >&2
rm -rf "$place/cache" "$place/lists"
echo "$bin"
