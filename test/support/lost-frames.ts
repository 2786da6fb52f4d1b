/**
 * Frames that the devices of a network namespace could not send: a veth counts what its peer's queue had no room for. That
 * queue is one for each CPU of the machine, whatever the namespace, so another test's packets can fill it.
 * @param netDev  what /proc/net/dev says there
 */
export function lostFrames(netDev: string): number {
  const rows = netDev.trim().split('\n').slice(2)
  // Errors and drops, third and fourth of what was sent, behind eight numbers of what was received.
  const sent = rows.map(row => row.split(':')[1]!.trim().split(/\s+/).slice(8).map(Number))
  return sent.reduce((sum, [, , errors = 0, drops = 0]) => sum + errors + drops, 0)
}
