#!/bin/sh
# Makes what `vm.sh` starts: Debian 12's own kernel, and a root folder as its initial file system; nothing is installed on
# this machine. Prints nothing where it is there already. Needs root, and a minute.
# Usage: vm-root.sh
set -eu
PATH=$PATH:/usr/sbin:/sbin
scripts=$(dirname "$(readlink -f "$0")")
cache=$scripts/../node_modules/.cache
suite=bookworm
[ -d "$cache/vm/$suite" ] && exit 0

fail() { echo "vm-root: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail 'needs root'
[ "$(dpkg --print-architecture)" = amd64 ] || fail 'needs a machine of the architecture amd64'
for package in mmdebstrap cpio; do sh "$scripts/unpack-debian.sh" "$package" alone; done
sh "$scripts/unpack-debian.sh" qemu-system-x86

echo "vm-root: fetching Debian $suite with its kernel for tests, a minute or so" >&2
mkdir -p "$cache/vm"
cache=$(readlink -f "$cache")
new=$(mktemp -d "$cache/vm/.$suite.XXXXXX")
trap 'rm -rf "$new"' EXIT

# The kernel's package as files only: installed, it would make an initial file system of its own.
packages=nftables,iproute2,conntrack,iputils-ping,procps,libstdc++6,kmod,tcpdump,tcpreplay,strace,wireguard-tools,wireguard-go
"$cache/debian/mmdebstrap/usr/bin/mmdebstrap" --mode=root --variant=minbase --include="$packages" \
  "$suite" "$new/root" >"$new/log" 2>&1 || fail "$(tail -n 5 "$new/log")"
# The full kernel: the one for clouds has no VRF, no bond and no WireGuard.
mkdir "$new/packages"
chroot "$new/root" sh -c "cd /tmp && apt-get update && apt-get download \$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: //p')" \
  >"$new/log" 2>&1 || fail "$(tail -n 5 "$new/log")"
mv "$new/root/tmp/"*.deb "$new/packages"
dpkg-deb -x "$new"/packages/*.deb "$new/kernel"
version=$(cd "$new/kernel/lib/modules" && echo *)
from=$new/kernel/lib/modules/$version
to=$new/root/lib/modules/$version
mkdir -p "$to/kernel/drivers/net"
cp -r "$from"/modules.builtin* "$from/modules.order" "$to"
for folder in net lib crypto arch; do cp -r "$from/kernel/$folder" "$to/kernel"; done
for driver in bonding ipvlan vxlan wireguard; do cp -r "$from/kernel/drivers/net/$driver" "$to/kernel/drivers/net"; done
cp "$from"/kernel/drivers/net/*.ko "$to/kernel/drivers/net"
chroot "$new/root" depmod "$version"

cat >"$new/root/init" <<'END'
#!/bin/sh
# First process of the machine: runs /run-tests and switches it off, with the exit code as the last line.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/net
mount -t devpts devpts /dev/pts
ln -s /proc/self/fd /dev/fd
for number in 0 1 2; do ln -s "/proc/self/fd/$number" "/dev/$(echo stdin stdout stderr | cut -d ' ' -f $((number + 1)))"; done
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/lock /run/netns
mount --make-rshared /
modprobe tun
ip link set lo up
echo "vm: $(uname -sr), $(nft --version), up after $(cut -d ' ' -f 1 /proc/uptime) s"
sh /run-tests
echo "vm: exit $?"
sync
echo o >/proc/sysrq-trigger
sleep 60
END
chmod +x "$new/root/init"
(cd "$new/root" && rm -rf var/cache/apt/* var/lib/apt/lists/* usr/share/doc usr/share/locale usr/share/man)
mkdir "$new/done"
cp "$new/kernel/boot/vmlinuz-$version" "$new/done/vmlinuz"
(cd "$new/root" && find . -path ./proc/\* -prune -o -print0 | "$cache/debian/cpio/bin/cpio" --quiet --null -o -H newc) >"$new/done/root.cpio"
# Another process may have been faster.
mv -T "$new/done" "$cache/vm/$suite" 2>/dev/null || [ -d "$cache/vm/$suite" ]
