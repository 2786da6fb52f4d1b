/** How findings name many things in little room; programs get all of them. */
const mostNamed = 6

/** `eth0, eth1, eth2 and 14 more` */
export function listed(names: readonly string[], separator = ', '): string {
  const rest = names.length - mostNamed
  return rest > 1 ? `${names.slice(0, mostNamed).join(separator)} and ${rest} more` : names.join(separator)
}

/** @param version  `1.0.6`, `6.1.0-13-amd64`: what has no number there counts as 0 */
export function isOlder(version: string, oldest: readonly number[]): boolean {
  const parts = version.split(/[.-]/).map(Number)
  const differs = oldest.findIndex((part, index) => part !== (parts[index] ?? 0))
  return differs !== -1 && (parts[differs] ?? 0) < oldest[differs]!
}
