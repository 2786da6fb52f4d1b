#!/bin/sh
# Makes this machine able to run Ringwall: npm packages, Debian packages, and a look at what the kernel can do.
# Usage: setup.sh [run|test|package]. Prints nothing and takes well under a second where nothing is missing.
#   run   (default) what `ringwall lab` and the agent need; a kernel or user that cannot run them is an error
#   package  what packages are made with: npm packages alone
#   test  also what the tests call; a kernel or user that cannot run the kernel tests is a notice, they are skipped
set -u
PATH=$PATH:/usr/sbin:/sbin
cd "$(dirname "$(readlink -f "$0")")/.." || exit 1
purpose=${1:-run}

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }
present() { command -v "$1" >/dev/null 2>&1; }

# Runs a command, shows what it printed only where it fails.
quietly() {
  log=$(mktemp) || exit 1
  if "$@" >"$log" 2>&1; then rm -f "$log"; return 0; fi
  cat "$log" >&2
  rm -f "$log"
  return 1
}

install_node_packages() {
  # npm ci would empty what it points to.
  [ ! -L node_modules ] || return 0
  [ -e node_modules/.package-lock.json ] \
    && [ -z "$(find package-lock.json -newer node_modules/.package-lock.json)" ] && return
  present npm || fail 'npm is missing; run: apt-get install nodejs npm'
  say 'installing Node packages with npm ci: Node 24 itself is among them, half a minute or so'
  begun=$(date +%s)
  quietly npm ci --no-audit --no-fund --loglevel=error || fail 'npm ci failed, see above'
  # npm leaves the file's time alone where it finds nothing to change.
  touch node_modules/.package-lock.json
  say "Node packages installed in $(($(date +%s) - begun)) s"
}

# Debian packages whose programs are missing.
missing_packages() {
  present nft || echo nftables
  present conntrack || echo conntrack
  present ip || echo iproute2
  present ping || echo iputils-ping
  present sysctl || echo procps
  [ "$purpose" = test ] || return 0
  present tcpdump || echo tcpdump
  present tcpreplay || echo tcpreplay
  present strace || echo strace
}

install_debian_packages() {
  missing=$(missing_packages | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  if ! present apt-get; then
    fail "programs are missing and this is no Debian or Ubuntu; install what these packages hold: $missing"
  fi
  command="apt-get install -y --no-install-recommends $missing"
  if [ "$(id -u)" != 0 ]; then
    [ "$purpose" = test ] || fail "packages are missing; run: sudo $command"
    say "packages are missing, kernel tests will be skipped; to run them: sudo $command"
    return 0
  fi
  say "installing Debian packages: $missing"
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get -o DPkg::Lock::Timeout=300 update || say 'apt-get update failed; going on with the lists there are'
  # shellcheck disable=SC2086 # a list of package names
  quietly apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing \
    || fail "installing them failed, see above; to try again: $command"
}

# Programs that tests run, of packages that would start a service if they were installed.
unpack_debian_packages() {
  [ "$purpose" = test ] || return 0
  { present bird || unpack bird2; } && { present exabgp || unpack exabgp; } && { present promtool || unpack prometheus alone; } \
    && { present wg || unpack wireguard-tools alone; } && { present wireguard-go || unpack wireguard-go alone; } \
    || say 'the tests that need it, or what would have come next, will be skipped'
}

# Other versions of nft, for the short tests with them; the long ones fetch more (test-nft.sh).
unpack_other_nft() {
  [ "$purpose" = test ] && [ "$(id -u)" = 0 ] || return 0
  for suite in trixie bullseye; do
    sh scripts/nft-version.sh "$suite" cached >/dev/null && continue
    say "fetching the nft of Debian $suite for tests; it is not installed"
    sh scripts/nft-version.sh "$suite" >/dev/null || { say 'the tests with it will be skipped'; return 0; }
  done
}

unpack() {
  [ -d "node_modules/.cache/debian/$1" ] && return
  say "fetching Debian package $1 for tests; it is not installed"
  sh scripts/unpack-debian.sh "$@"
}

# Asks the kernel in a network namespace of its own, which goes away with the process.
check_kernel() {
  if [ "$(id -u)" != 0 ]; then
    inability='network namespaces and nftables need root: try sudo'
  elif ! unshare --net true 2>/dev/null; then
    inability='the kernel refuses a new network namespace (CONFIG_NET_NS, or a container without CAP_SYS_ADMIN)'
  elif ! unshare --net nft 'add table inet probe; add chain inet probe c { type filter hook prerouting priority -150; }; add rule inet probe c ct state new ct mark set 1' 2>/dev/null; then
    inability='the kernel refuses an nftables rule with connection tracking (CONFIG_NF_TABLES_INET, CONFIG_NFT_CT)'
  else
    return 0
  fi
  [ "$purpose" = test ] || fail "$inability"
  say "kernel tests will be skipped: $inability"
}

case $purpose in
  run | test | package) ;;
  *) fail "unknown purpose \"$purpose\": expected run, test or package" ;;
esac
[ "$(uname -s)" = Linux ] || fail "Ringwall runs on Linux only; this is $(uname -s)"
install_node_packages
[ "$purpose" != package ] || exit 0
install_debian_packages
unpack_debian_packages
unpack_other_nft
check_kernel
