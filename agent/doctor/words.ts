/** How findings name many things in little room; programs get all of them. */
const mostNamed = 6

/** `eth0, eth1, eth2 and 14 more` */
export function listed(names: readonly string[], separator = ', '): string {
  const rest = names.length - mostNamed
  return rest > 1 ? `${names.slice(0, mostNamed).join(separator)} and ${rest} more` : names.join(separator)
}
