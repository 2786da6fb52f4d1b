#!/bin/sh
# Unpacks the nft of another Debian release, with its own libraries and dynamic loader, for tests: nothing is installed.
# Prints the folder to be put first in PATH; what comes after it is called as ever, `nft` alone is another.
# Usage: nft-version.sh SUITE [cached]   bullseye (0.9.8), trixie (1.1.3), forky
#   cached  prints nothing and fails where it would have to be fetched
set -eu
PATH=$PATH:/usr/sbin:/sbin
suite=${1:?suite, trixie say}
scripts=$(dirname "$(readlink -f "$0")")
mkdir -p "$scripts/../node_modules/.cache/nft"
cache=$(readlink -f "$scripts/../node_modules/.cache/nft")
root=$cache/$suite
[ -d "$root/bin" ] && { echo "$root/bin"; exit 0; }
[ "${2:-}" = cached ] && exit 1

fail() { echo "nft-version: cannot fetch nft of Debian $suite: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail 'needs root'
sh "$scripts/unpack-debian.sh" mmdebstrap alone
new=$(mktemp -d "$cache/.$suite.XXXXXX")
trap 'rm -rf "$new"' EXIT
# A machine without a network must not wait for long; a mirror that is no longer kept up will do.
"$scripts/../node_modules/.cache/debian/mmdebstrap/usr/bin/mmdebstrap" --mode=root --variant=extract --include=nftables \
  --aptopt='Acquire::http::Timeout "15"' --aptopt='Acquire::Retries "0"' \
  --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$new/root" >"$new/log" 2>&1 \
  || fail "$(grep -E '^(E|Err|W: GPG)' "$new/log" | head -n 3)"

# Its glibc may be newer than the machine's: the loader must be of the same release.
loader=$(cd "$new/root" && find . -name 'ld-linux-*.so.*' -print | head -n 1)
[ -n "$loader" ] || fail 'it has no dynamic loader'
libraries=$(cd "$new/root" && find . -name 'libc.so.6' -o -name 'libnftables.so.1' | xargs -n 1 dirname | sort -u \
  | sed "s|^\./|$root/root/|" | paste -s -d :)
# Under the name that the kernel tells others of: what runs is the loader.
mkdir "$new/bin" "$new/loader"
cp -L "$new/root/$loader" "$new/loader/nft"
cat >"$new/bin/nft" <<END
#!/bin/sh
exec $root/loader/nft --library-path $libraries $root/root/usr/sbin/nft "\$@"
END
chmod +x "$new/bin/nft"
rm "$new/log"
chmod 755 "$new"
# Another process may have been faster.
mv -T "$new" "$root" 2>/dev/null || [ -d "$root/bin" ]
echo "$root/bin"
