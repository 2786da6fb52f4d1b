#!/bin/sh
# Makes root folders of small Debians with systemd, for tests; nothing is installed on this machine. Prints nothing where
# they are there already. Needs root, and half a minute for both, which are made at once. Where one cannot be made
# the reason is left beside it, for the tests that are skipped then.
# Usage: systemd-root.sh [NAME…]
#   bookworm            (if left out) what the units of Ringwall need
#   bookworm-firewalls  that, and firewall managers and container engines
set -u
PATH=$PATH:/usr/sbin:/sbin
scripts=$(dirname "$(readlink -f "$0")")
cache=$scripts/../node_modules/.cache
roots=$cache/systemd-root
[ $# -gt 0 ] || set -- bookworm

fail() { echo "systemd-root: $*" >&2; exit 1; }

# What is in a root besides systemd. libstdc++6 is for Node.
packages_of() {
  plain=nftables,iproute2,conntrack,iputils-ping,libstdc++6
  case $1 in
    bookworm) echo "$plain" ;;
    bookworm-firewalls) echo "$plain,firewalld,ufw,iptables,procps,fail2ban,podman,netavark,crun,docker.io,busybox-static" ;;
    *) return 1 ;;
  esac
}

# Timers that would begin something during a test, and services that tests start when they want them.
masked='console-getty.service systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer
  e2scrub_all.timer dpkg-db-backup.timer podman-auto-update.timer'
disabled='firewalld.service ufw.service fail2ban.service podman.service podman.socket podman-restart.service
  podman-auto-update.service docker.service docker.socket containerd.service'

make_root() {
  name=$1
  [ "$(id -u)" = 0 ] || { echo 'needs root'; return 1; }
  for package in mmdebstrap systemd-container; do
    sh "$scripts/unpack-debian.sh" "$package" alone 2>&1 || return 1
  done
  new=$(mktemp -d "$roots/.$name.XXXXXX") || return 1
  trap 'rm -rf "$new"' EXIT
  # A machine without a network must not wait for long.
  "$cache/debian/mmdebstrap/usr/bin/mmdebstrap" --mode=root --variant=minbase \
    --include="systemd,systemd-sysv,dbus,$(packages_of "$name")" \
    --aptopt='Acquire::http::Timeout "15"' --aptopt='Acquire::https::Timeout "15"' \
    "${name%%-*}" "$new/debian" >"$new/log" 2>&1 || { grep '^E:' "$new/log" || tail -n 5 "$new/log"; return 1; }
  chroot "$new/debian" systemctl enable systemd-networkd >/dev/null 2>&1
  # shellcheck disable=SC2086 # lists of units; those that are not there do no harm
  chroot "$new/debian" systemctl mask $masked >/dev/null 2>&1
  # shellcheck disable=SC2086
  for unit in $disabled; do chroot "$new/debian" systemctl disable "$unit" >/dev/null 2>&1; done
  : >"$new/debian/etc/machine-id"
  # A third of it: documentation, and programs of Docker's that nothing here calls.
  (cd "$new/debian/usr" && rm -rf share/doc share/man share/locale bin/dnet sbin/ovrouter bin/ctr bin/containerd-shim \
    bin/containerd-shim-runc-v1)
  # Another process may have been faster.
  mv -T "$new/debian" "$roots/$name" 2>/dev/null || [ -d "$roots/$name" ]
}

make_or_tell() {
  if reason=$(make_root "$1"); then
    rm -f "$roots/$1.reason"
  else
    echo "systemd-root: cannot make $1: $reason" >&2
    echo "$reason" | head -n 1 >"$roots/$1.reason"
    return 1
  fi
}

mkdir -p "$roots"
for name; do
  packages_of "$name" >/dev/null || fail "unknown root \"$name\": expected bookworm or bookworm-firewalls"
done
# At once: each keeps one processor busy.
making=
for name; do
  [ -d "$roots/$name" ] && continue
  echo "systemd-root: fetching $name for tests, a minute or so" >&2
  make_or_tell "$name" &
  making="$making $!"
done
missing=
for pid in $making; do wait "$pid" || missing=1; done
[ -z "$missing" ]
