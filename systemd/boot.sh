#!/bin/sh
# What is in force from before there is a network until the agent has started: the last ruleset that stood in the kernel.
# Plain nft and sh, because Node may not start, or not in time. Run by ringwall-boot.service; settings in
# /etc/ringwall/boot.env:
#   RINGWALL_BOOT_WITHOUT_RULESET  what where that ruleset is missing or cannot be loaded: "open" (if left out), the host
#                                  as it was, or "closed": nothing new comes in or goes through until the agent is there
#   RINGWALL_BOOT_RULESET          where it is, if stateDir of the agent is not /var/lib/ringwall
#   RINGWALL_BOOT_OPEN_PORTS       TCP ports that "closed" leaves open, "22" or "22, 2222"; none if left out
# Exit code 0: the last good ruleset is in force, or there never was one and "open" is wanted. 1: anything else.
set -u
ruleset=${RINGWALL_BOOT_RULESET-/var/lib/ringwall/ruleset.nft}
otherwise=${RINGWALL_BOOT_WITHOUT_RULESET-open}
ports=${RINGWALL_BOOT_OPEN_PORTS-}
PATH=$PATH:/usr/sbin:/sbin

say() { echo "ringwall-boot: $*"; }

# The agent replaces this table, whole, by the first policy that it puts in force. Answers, neighbour discovery and
# addresses by DHCP come in, so that the host has a network and the agent can reach its daemon. It stands where the
# agent's own does: after connection tracking, before any address is translated, for forwarded traffic too.
close() {
  open_ports=
  [ -z "$ports" ] || open_ports="tcp dport { $ports } accept"
  nft -f - <<END
table inet ringwall
delete table inet ringwall
table inet ringwall {
	chain boot {
		type filter hook prerouting priority mangle + 10; policy drop;
		iif lo accept
		ct state established,related accept
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, packet-too-big, destination-unreachable } accept
		icmp type { destination-unreachable, time-exceeded } accept
		meta l4proto udp th sport 67 th dport 68 accept
		ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
		$open_ports
	}
}
END
}

case $otherwise in
  open | closed) ;;
  *)
    say "RINGWALL_BOOT_WITHOUT_RULESET is \"$otherwise\", expected open or closed; \"closed\" is taken"
    otherwise=closed
    ;;
esac

# The unit's own condition sees the usual folder alone.
if [ -e "${ruleset%/*}/panic.json" ]; then
  say 'an administrator has opened this host ("ringwall panic"): it stays open'
  exit 0
fi

# Started by hand, or again: what stands is at least as new.
if nft list chains inet 2>/dev/null | grep -q '^table inet ringwall {'; then
  say 'a ruleset of Ringwall is in force already; it is left as it is'
  exit 0
fi

if [ -s "$ruleset" ]; then
  if nft -f "$ruleset"; then
    say "in force: $ruleset"
    exit 0
  fi
  say "nft does not take $ruleset"
  missing=1
elif [ -e "$ruleset" ]; then
  say "$ruleset is empty"
  missing=1
else
  say "there is no $ruleset: no policy has been in force on this host yet"
  missing=0
fi

if [ "$otherwise" = open ]; then
  say 'the host is left as it was; the agent puts the policy in force when it has started'
  exit "$missing"
fi
close || { say 'the host cannot be closed either: nft refuses'; exit 1; }
say 'the host is closed until the agent has put a policy in force'
exit "$missing"
