/** Addresses that only this machine can reach. */
import { BlockList, isIP } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

export function isLoopback(address: string): boolean {
  return loopback.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
}

/**
 * Whether a `Host` header names this machine as only it can be named. In a browser, any page can have its own name lead to
 * a loopback address and read what is answered there without a password; the header tells. None is of no browser.
 */
export function isLoopbackHost(host: string | undefined): boolean {
  if (host === undefined) return true
  const name = host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1')
  return name.toLowerCase() === 'localhost' || (isIP(name) !== 0 && isLoopback(name))
}
