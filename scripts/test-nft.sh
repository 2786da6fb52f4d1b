#!/bin/sh
# Runs what has to do with nft with the nft of other Debian releases, each unpacked aside (nft-version.sh).
# Usage: test-nft.sh [SUITE…]   trixie and forky if left out
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
[ $# -gt 0 ] || set -- trixie forky
tests='agent/nft rules-compiler/ kernel/agent- kernel/apply kernel/cases kernel/crash kernel/devices kernel/differential
  kernel/doctor kernel/foreign kernel/looped kernel/metrics kernel/nft.test kernel/observe kernel/odd-packets kernel/panic kernel/revocation kernel/roundtrip kernel/scrub
  kernel/sequences kernel/stamps kernel/strangers kernel/transitions kernel/watch'
sh scripts/nft-version.sh bullseye >/dev/null
failed=
for suite; do
  folder=$(sh scripts/nft-version.sh "$suite")
  echo "== $("$folder/nft" --version), Debian $suite, $(uname -sr)"
  # shellcheck disable=SC2086 # a list of patterns
  PATH="$folder:$PATH" ./scripts/node test/run.ts $tests || failed="$failed $suite"
done
./scripts/node test/run.ts kernel/nft-old || failed="$failed bullseye"
[ -z "$failed" ] || { echo "test-nft: failed with the nft of:$failed" >&2; exit 1; }
