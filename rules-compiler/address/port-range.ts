/** Port ranges, both ends included. Protocols without ports use `allPorts`. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

/** 0 is in it: conntrack keys of protocols without ports are 0, and an ICMP key is any 16-bit value. */
export const allPorts: PortRange = { first: 0, last: 65_535 }

export function isAllPorts(range: PortRange): boolean {
  return range.first === allPorts.first && range.last === allPorts.last
}

export function containsPort(range: PortRange, port: number): boolean {
  return range.first <= port && port <= range.last
}

export function portsOverlap(a: PortRange, b: PortRange): boolean {
  return a.first <= b.last && b.first <= a.last
}

/** `443` or `1000-2000`. */
export function portRangeText(range: PortRange): string {
  return range.first === range.last ? String(range.first) : `${range.first}-${range.last}`
}
