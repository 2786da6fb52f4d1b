# Reads one NFLOG group of this network namespace and writes the kernel's netlink messages to standard output as they
# are. Ends when its standard input does: that is how it notices that whoever started it is gone. An empty message (NLMSG_NOOP)
# comes first, as soon as it listens.
# Usage: perl nflog.pl GROUP BYTES   BYTES of each packet, from the IP header on
#
# Perl, because Node has no netlink sockets, and every Debian has perl-base, which is all this needs. Why none of the
# programs that read NFLOG: docs/decisions/0010-observe-mode-and-logs.md. Numbers are those of linux/netlink.h and
# linux/netfilter/nfnetlink_log.h.
use strict;
use warnings;

my ($group, $bytes) = @ARGV;
# Hundredths of a second that the kernel gathers packets for, which saves wake-ups.
my $gather = 10;
my $buffer = 1 << 20;

# AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER
socket(my $kernel, 16, 3, 12) or die "cannot open a netlink socket: $!\n";
bind($kernel, pack('SSLL', 16, 0, 0, 0)) or die "cannot bind a netlink socket: $!\n";
# SO_RCVBUFFORCE, else SO_RCVBUF within the limit of the host
setsockopt($kernel, 1, 33, pack('i', $buffer)) or setsockopt($kernel, 1, 8, pack('i', $buffer));

# NFULA_CFG_CMD: NFULNL_CFG_CMD_BIND
configure([1, pack('C', 1)]);
# NFULA_CFG_MODE: NFULNL_COPY_PACKET; NFULA_CFG_TIMEOUT; NFULA_CFG_FLAGS: NFULNL_CFG_F_SEQ, so that gaps tell what was lost
configure([2, pack('NCx', $bytes, 2)], [4, pack('N', $gather)], [6, pack('n', 1)]);
# NLMSG_NOOP, in place of a packet: it listens.
put(pack('LSSLL', 16, 1, 0, 0, 0));

my $both = '';
vec($both, fileno $_, 1) = 1 for $kernel, *STDIN;
while (1) {
  my $ready = $both;
  next if select($ready, undef, undef, undef) < 0;
  if (vec($ready, fileno STDIN, 1)) {
    sysread(STDIN, my $nothing, 4096) or exit 0;
  }
  if (vec($ready, fileno $kernel, 1)) {
    # It fails where the buffer has overrun (ENOBUFS), which the numbers of the next packets show.
    defined recv($kernel, my $messages, 1 << 17, 0) or next;
    put($messages);
  }
}

# Whole, to standard output. Whoever reads it may be gone.
sub put {
  my ($messages) = @_;
  for (my $written = 0; $written < length $messages;) {
    $written += syswrite(STDOUT, $messages, length($messages) - $written, $written) // exit 0;
  }
}

# One NFULNL_MSG_CONFIG with these attributes, and the kernel's answer to it.
sub configure {
  our $number;
  $number++;
  my $body = pack('CCn', 0, 0, $group);
  for (@_) {
    my ($type, $value) = @$_;
    $body .= pack('SS', 4 + length $value, $type) . $value;
    $body .= "\0" x (-length($body) & 3);
  }
  # NLM_F_REQUEST, NLM_F_ACK
  send($kernel, pack('LSSLL', 16 + length $body, 0x0401, 5, $number, 0) . $body, 0) or die "cannot ask the kernel: $!\n";
  while (1) {
    defined recv($kernel, my $answer, 1 << 17, 0) or die "the kernel does not answer: $!\n";
    my (undef, $type, undef, $of) = unpack('LSSL', $answer);
    # NLMSG_ERROR, which is an acknowledgement where its number is 0
    next unless $type == 2 && $of == $number;
    $! = -unpack('x16 l', $answer);
    return if $! == 0;
    # EPERM, where we have CAP_NET_ADMIN, is another listener (instance_create in nfnetlink_log.c).
    die "the kernel refuses group $group: $!\n";
  }
}
