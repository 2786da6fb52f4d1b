#!/bin/sh
# Makes the root folder of a small Debian with systemd, for tests of the units; nothing is installed on this machine.
# Prints nothing where it is there already. Needs root, and some 20 s.
# Usage: systemd-root.sh
set -eu
PATH=$PATH:/usr/sbin:/sbin
scripts=$(dirname "$(readlink -f "$0")")
cache=$scripts/../node_modules/.cache
suite=bookworm
root=$cache/systemd-root/$suite
[ -d "$root" ] && exit 0

fail() { echo "systemd-root: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail 'needs root'
for package in mmdebstrap systemd-container; do
  sh "$scripts/unpack-debian.sh" "$package" alone
done

echo "systemd-root: fetching Debian $suite for tests, half a minute or so" >&2
mkdir -p "$cache/systemd-root"
new=$(mktemp -d "$cache/systemd-root/.$suite.XXXXXX")
trap 'rm -rf "$new"' EXIT
packages=systemd,systemd-sysv,dbus,nftables,iproute2,conntrack,iputils-ping,libstdc++6
"$cache/debian/mmdebstrap/usr/bin/mmdebstrap" --mode=root --variant=minbase --include="$packages" "$suite" "$new/debian" \
  >"$new/log" 2>&1 || fail "$(tail -n 5 "$new/log")"
chroot "$new/debian" systemctl enable systemd-networkd >/dev/null 2>&1
chroot "$new/debian" systemctl mask console-getty.service systemd-networkd-wait-online.service apt-daily.timer \
  apt-daily-upgrade.timer e2scrub_all.timer dpkg-db-backup.timer >/dev/null 2>&1
: >"$new/debian/etc/machine-id"
# Another process may have been faster.
mv -T "$new/debian" "$root" 2>/dev/null || [ -d "$root" ]
