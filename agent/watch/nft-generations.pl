# Prints a line for each transaction of this network namespace's nftables rules, as `nft monitor` does, and before it one
# for each table that it touches:
#
#   table inet ringwall
#   # new generation 7 by process 4711 (nft)
#
# In place of `nft monitor`, which in nft 1.0.6 crashes on some events (a timeout object deleted, as "flush ruleset" does),
# tells nothing of elements of concatenated sets, and prints every other element. Perl, because Node has no netlink
# sockets. Numbers are those of linux/netlink.h and linux/netfilter/nf_tables.h.
use strict;
use warnings;

# As large as nft's own.
my $buffer = 16 << 20;
my %families = (1 => 'inet', 2 => 'ip', 3 => 'arp', 5 => 'netdev', 7 => 'bridge', 10 => 'ip6');

# AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER
socket(my $kernel, 16, 3, 12) or die "cannot open a netlink socket: $!\n";
# SO_RCVBUFFORCE, else SO_RCVBUF within the limit of the host
setsockopt($kernel, 1, 33, pack('i', $buffer)) or setsockopt($kernel, 1, 8, pack('i', $buffer));
# NFNLGRP_NFTABLES, of which groups count from 1
bind($kernel, pack('SSLL', 16, 0, 0, 1 << 6)) or die "cannot listen to nftables: $!\n";

$| = 1;
# In a container pids as the kernel tells them are the machine's: there the port of the sender's socket is taken, which is its
# pid as the container has it (netlink(7): the first socket of a process). Number of the first pid namespace: proc_ns.h.
my $ports_are_pids = (readlink('/proc/self/ns/pid') // '') ne 'pid:[4026531836]';
my %touched;
while (1) {
  my $messages;
  if (!defined recv($kernel, $messages, 1 << 17, 0)) {
    # ENOBUFS: the buffer has overrun.
    print "# ERROR: We lost some netlink events\n" if $! == 105;
    next;
  }
  for (my $at = 0; length($messages) - $at >= 20;) {
    my ($length, $type, $port, $family) = unpack("x$at LSx6LC", $messages);
    last if $length < 20 || $length > length($messages) - $at;
    note($type & 0xff, $port, $families{$family} // $family, attributes(substr $messages, $at + 20, $length - 20))
      if $type >> 8 == 10;
    $at += ($length + 3) & ~3;
  }
}

sub note {
  my ($type, $port, $family, %value) = @_;
  # NFT_MSG_NEWGEN: NFTA_GEN_ID, NFTA_GEN_PROC_PID, NFTA_GEN_PROC_NAME; of all others attribute 1 is the table.
  if ($type != 15) {
    $touched{"table $family " . text($value{1})} = 1;
    return;
  }
  my $pid = $ports_are_pids && $port < 1 << 31 ? $port : number($value{2});
  print map("$_\n", sort keys %touched),
    '# new generation ', number($value{1}), ' by process ', $pid, ' (', text($value{3}), ")\n";
  %touched = ();
}

sub number { return unpack('N', ($_[0] // '') . "\0" x 4) }

sub text {
  my ($text) = @_;
  return ($text // '') =~ s/\0.*//sr =~ s/[^[:print:]]/?/gr;
}

# Values by type. The two upper bits of a type are marks (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
sub attributes {
  my ($bytes) = @_;
  my @values;
  for (my $at = 0; length($bytes) - $at >= 4;) {
    my ($length, $type) = unpack("x$at SS", $bytes);
    last if $length < 4 || $length > length($bytes) - $at;
    push @values, $type & 0x3fff, substr($bytes, $at + 4, $length - 4);
    $at += ($length + 3) & ~3;
  }
  return @values;
}
