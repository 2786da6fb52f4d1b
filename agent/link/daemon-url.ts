/** Where a daemon listens for agents, and which addresses that is. */
import { lookup as lookUp } from 'node:dns/promises'
import { isIP } from 'node:net'
import { parseAddress } from '../../rules-compiler/address/cidr.ts'

export interface DaemonAddress {
  /** `https://daemon.example:8444`, as it is kept and shown. */
  readonly url: string
  /** Name or address, without brackets. */
  readonly host: string
  readonly port: number
}

/** @throws {Error} if the text is no such URL */
export function parseDaemonUrl(text: string): DaemonAddress {
  const url = URL.parse(text)
  const isPlain =
    url?.protocol === 'https:' && url.pathname === '/' && url.search + url.hash + url.username + url.password === ''
  if (!isPlain || url.hostname === '') {
    throw new Error(`Cannot use the URL "${text}": expected https://HOST:PORT of the daemon's listener for agents`)
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return { url: url.origin, host, port: url.port === '' ? 443 : Number(url.port) }
}

/**
 * Every address of the host, both families, canonical, sorted.
 * @throws {Error} if the name cannot be resolved, or to no address that a rule can name
 */
export async function resolveHost(host: string): Promise<readonly string[]> {
  const found = isIP(host) === 0 ? (await lookUp(host, { all: true })).map(({ address }) => address) : [host]
  const addresses = found.map(parseAddress).filter(address => address !== null)
  if (addresses.length === 0) throw new Error(`Cannot resolve "${host}": expected an IPv4 or IPv6 address`)
  return [...new Set(addresses)].sort()
}
