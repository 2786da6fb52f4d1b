#!/bin/sh
# Fetches a Debian package and unpacks it beside the modules of npm, for tests: nothing is installed, so no service of it
# starts and nobody's configuration changes. Prints nothing where all is well, or it is there already.
# Usage: unpack-debian.sh PACKAGE [alone]
#   alone  without those of its dependencies that are not installed
set -eu
package=$1
with=${2:-dependencies}
folder=$(dirname "$(readlink -f "$0")")/../node_modules/.cache/debian
[ -d "$folder/$package" ] && exit 0

fail() { echo "cannot fetch Debian package \"$package\": $*" >&2; exit 1; }
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail 'this is no Debian or Ubuntu'

mkdir -p "$folder"
new=$(mktemp -d "$folder/.$package.XXXXXX")
trap 'rm -rf "$new"' EXIT
mkdir "$new/packages" "$new/root"
cd "$new/packages"

# A machine without a network must not wait for long.
patience='-o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 -o Acquire::Retries=0'

# Names of what is to be fetched.
plan() {
  if [ "$with" = alone ]; then
    echo "$package"
  else
    apt-get install --simulate --no-install-recommends "$package" >"$new/plan" && sed -n 's/^Inst \([^ ]*\).*/\1/p' "$new/plan"
  fi
}

# shellcheck disable=SC2086 # lists of options and of package names
fetch() { names=$(plan) && [ -n "$names" ] && apt-get $patience download $names; }

# Lists of packages may be missing or old; only root can fetch new ones.
if ! fetch >"$new/log" 2>&1; then
  # shellcheck disable=SC2086 # a list of options
  { apt-get $patience update && fetch; } >"$new/log" 2>&1 || fail "$(tail -n 3 "$new/log")"
fi
for file in ./*.deb; do
  dpkg-deb -x "$file" "$new/root"
done
# Another process may have been faster.
mv -T "$new/root" "$folder/$package" 2>/dev/null || [ -d "$folder/$package" ]
