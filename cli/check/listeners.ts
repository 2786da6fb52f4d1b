/** Who listens on a TCP port of this network namespace, as the kernel tells it; nothing is opened for it. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import type { Endpoint } from '../../common/config/formats.ts'

/** proc_net_tcp(5): `sl local_address rem_address st … uid timeout inode`. */
const listenState = '0A'

/** Inodes of the sockets that keep somebody from listening there too. */
export function findListeners({ address, port }: Endpoint): readonly string[] {
  if (port === 0) return []
  const wanted = bytesOf(address)
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap(table =>
    linesOf(table).flatMap(line => {
      const [, local = '', , state = '', , , , , , inode = ''] = line.trim().split(/\s+/)
      const [hexAddress = '', hexPort = ''] = local.split(':')
      const isHere = state === listenState && Number.parseInt(hexPort, 16) === port
      return isHere && collide(wanted, kernelBytes(hexAddress)) ? [inode] : []
    }),
  )
}

/** Inodes of all sockets of a process; null where they cannot be seen: of one with capabilities that we have not. */
export function socketsOf(pid: number): ReadonlySet<string> | null {
  try {
    const folder = `/proc/${pid}/fd`
    const targets = readdirSync(folder).map(name => readTarget(`${folder}/${name}`))
    return new Set(targets.flatMap(target => /^socket:\[(\d+)\]$/.exec(target)?.slice(1) ?? []))
  } catch {
    return null
  }
}

/** A process that has the file open, of those whose files we may see; null where there is none. */
export function findOpener(path: string): number | null {
  const wanted = identityOf(path)
  if (wanted === null) return null
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name) && name !== String(process.pid))
  const opener = pids.find(pid => filesOf(pid).some(file => identityOf(file) === wanted))
  return opener === undefined ? null : Number(opener)
}

function filesOf(pid: string): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map(name => `/proc/${pid}/fd/${name}`)
  } catch {
    return []
  }
}

/** Null where there is no such file, or we may not see it. */
function identityOf(path: string): string | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev} ${ino}`
  } catch {
    return null
  }
}

/** Whether an address is one that can be listened on: of a device, of the loopback, or all of them. */
export function isOwnAddress(address: string): boolean {
  const wanted = bytesOf(address)
  if (isAny(wanted) || /^127\./.test(address)) return true
  const own = Object.values(networkInterfaces()).flatMap(each => each ?? [])
  return own.some(each => bytesOf(each.address.split('%')[0]!).equals(wanted))
}

function linesOf(table: string): readonly string[] {
  try {
    return readFileSync(table, 'utf8').split('\n').slice(1)
  } catch {
    // Without IPv6 there is no such table.
    return []
  }
}

/** Empty where it was closed meanwhile. */
function readTarget(path: string): string {
  try {
    return readlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

/** All addresses of one family take the port from those of both: a socket for `::` mostly serves IPv4 too. */
function collide(one: Buffer, other: Buffer): boolean {
  if (one.length === other.length) return one.equals(other) || isAny(one) || isAny(other)
  return [one, other].some(bytes => bytes.length === 16 && isAny(bytes))
}

function isAny(bytes: Buffer): boolean {
  return bytes.every(byte => byte === 0)
}

/** Words of 32 bits in the host's order, which is the little end first on all that Ringwall runs on. */
function kernelBytes(hex: string): Buffer {
  return Buffer.from(hex, 'hex').swap32()
}

function bytesOf(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number))
  const { hostname } = new URL(`http://[${address}]/`)
  const [head = '', tail] = hostname.slice(1, -1).split('::')
  const words = (text: string | undefined) => (text ? text.split(':') : [])
  const zeros = Array.from({ length: 8 - words(head).length - words(tail).length }, () => '0')
  const all = tail === undefined ? words(head) : [...words(head), ...zeros, ...words(tail)]
  return Buffer.from(all.map(word => word.padStart(4, '0')).join(''), 'hex')
}
