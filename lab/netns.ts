/**
 * Network namespaces for the lab and the tests: made, joined by veth pairs, and removed again whatever happens.
 *
 * Nothing here can touch the machine's own network namespace: every command names one of ours by `ip -n` or
 * `ip netns exec`, and a namespace exists only under a name made here.
 *
 * Names are `rw-<pid>-<start>-<serial>-<role>`: the maker's pid and its start time in clock ticks since boot
 * (proc_pid_stat(5), field 22) tell a later run whether the maker still lives, also after pids were used again.
 */
import {
  type ChildProcess,
  type ExecFileSyncOptionsWithStringEncoding,
  execFileSync,
  type SpawnOptions,
  spawn,
} from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'

export interface CommandResult {
  readonly stdout: string
  readonly stderr: string
  /** 128 + 9 and the like where a signal ended the command. */
  readonly exitCode: number
}

export interface RunOptions {
  /** Given to the command on stdin, which is empty otherwise. */
  readonly input?: string
  /** Return the exit code instead of throwing when it is not 0. */
  readonly allowFailure?: boolean
  /** The command is killed after this long; 60,000 where left out. */
  readonly timeoutMs?: number
}

export interface Namespace extends AsyncDisposable {
  /** The full name, as `ip netns` shows it. */
  readonly name: string
  /** @throws {Error} with the command and its stderr where it fails, unless failure is allowed */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<CommandResult>
  /** A process inside the namespace; it dies with this process at the latest. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess
  /** Writes settings of this namespace, `{ 'net.ipv4.ip_forward': 1 }`. @throws {Error} for a key outside `net.` */
  sysctl(settings: Readonly<Record<string, string | number>>): Promise<void>
}

/** One end of a veth pair. Addresses carry their prefix length: `198.18.1.2/24`. */
export interface LinkEnd {
  readonly namespace: Namespace
  readonly device: string
  readonly addresses?: readonly string[]
  readonly mac?: string
}

const namePrefix = 'rw'
const signalsHandled = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** A busy kernel, which makes and removes many namespaces at once, takes a while. */
const ipv6PatienceMs = 15_000
const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 } as const
const living = new Set<string>()
let serial = 0

/**
 * A new namespace with loopback up, and IPv6 addresses usable without waiting for duplicate address detection.
 * It goes away with `await using`, at exit, and on SIGINT, SIGTERM and SIGHUP.
 * @param role  what it stands for, `web`: the end of its name
 */
export async function createNamespace(role: string): Promise<Namespace> {
  if (!/^[a-z0-9-]{1,40}$/.test(role)) {
    throw new Error(`Cannot name a namespace "${role}": expected lower-case letters, digits and dashes`)
  }
  serial += 1
  const name = `${namePrefix}-${process.pid}-${startTime(process.pid)}-${serial}-${role}`
  removeAllOnExit()
  living.add(name)
  await runHere('ip', ['netns', 'add', name])
  const namespace = namespaceNamed(name)
  await namespace.sysctl({
    'net.ipv6.conf.all.disable_ipv6': 0,
    'net.ipv6.conf.default.disable_ipv6': 0,
    'net.ipv6.conf.all.accept_dad': 0,
    'net.ipv6.conf.default.accept_dad': 0,
  })
  await runHere('ip', ['-n', name, 'link', 'set', 'lo', 'up'])
  return namespace
}

/** A veth pair between two namespaces: addresses set, both ends up and able to send and receive at once. */
export async function connect(a: LinkEnd, b: LinkEnd): Promise<void> {
  const macOf = (end: LinkEnd) => (end.mac === undefined ? [] : ['address', end.mac])
  const near = ['link', 'add', a.device, ...macOf(a), 'type', 'veth']
  const far = ['peer', 'name', b.device, ...macOf(b), 'netns', b.namespace.name]
  await runHere('ip', ['-n', a.namespace.name, ...near, ...far])
  const ends = [a, b]
  await Promise.all(ends.map(bringUp))
  await Promise.all(ends.map(waitForIpv6))
}

async function bringUp({ namespace, device, addresses = [] }: LinkEnd): Promise<void> {
  const lines = addresses.map(address => `addr add ${address} dev ${device}${address.includes(':') ? ' nodad' : ''}`)
  const input = `${[...lines, `link set ${device} up`].join('\n')}\n`
  await runHere('ip', ['-n', namespace.name, '-batch', '-'], { input })
}

/**
 * The kernel takes up IPv6 on a link some milliseconds after its carrier, and drops neighbour solicitations until then;
 * who asked asks again a second later. The link-local address is the sign that it has done so.
 */
async function waitForIpv6({ namespace, device }: LinkEnd): Promise<void> {
  const linkLocal = ['-n', namespace.name, '-6', '-o', 'addr', 'show', 'dev', device, 'scope', 'link', '-tentative']
  const until = performance.now() + ipv6PatienceMs
  do {
    const { stdout } = await runHere('ip', linkLocal)
    if (stdout !== '') return
    await setTimeout(20)
  } while (performance.now() < until)
  const seconds = ipv6PatienceMs / 1000
  throw new Error(`IPv6 is not ready on "${device}" of "${namespace.name}" ${seconds} seconds after it was brought up`)
}

/**
 * Removes the namespaces of makers that are gone, killed with SIGKILL say, together with the processes still in them.
 * @returns the names removed, sorted
 */
export async function removeStale(): Promise<string[]> {
  const { stdout } = await runHere('ip', ['netns', 'list'])
  const names = stdout.split('\n').map(line => line.split(' ')[0]!)
  const stale = names.filter(isStale).sort()
  for (const name of stale) await removeNamespace(name)
  return stale
}

function namespaceNamed(name: string): Namespace {
  const inside = (command: string, args: readonly string[]) => ['netns', 'exec', name, command, ...args]
  return {
    name,
    run: (command, args, options = {}) => runHere('ip', inside(command, args), options),
    spawn: (command, args, options = {}) => startChild('ip', inside(command, args), options),
    async sysctl(settings) {
      const assignments = Object.entries(settings).map(([key, value]) => {
        if (!key.startsWith('net.')) throw new Error(`Cannot set "${key}" of one namespace: expected a key below net.`)
        return `${key}=${value}`
      })
      await runHere('ip', inside('sysctl', ['-q', '-w', ...assignments]))
    },
    [Symbol.asyncDispose]: () => removeNamespace(name),
  }
}

async function removeNamespace(name: string): Promise<void> {
  living.delete(name)
  const { stdout } = await runHere('ip', ['netns', 'pids', name], { allowFailure: true })
  endProcessesOf(name, stdout)
  // Another run may be removing the same stale namespace: gone is what we wanted.
  await runHere('ip', ['netns', 'delete', name], { allowFailure: true })
}

/** At exit nothing can be awaited any more. */
function removeNamespaceNow(name: string): void {
  const options: ExecFileSyncOptionsWithStringEncoding = {
    stdio: ['ignore', 'pipe', 'ignore'],
    encoding: 'utf8',
    timeout: 5000,
  }
  try {
    endProcessesOf(name, execFileSync('ip', ['netns', 'pids', name], options))
    execFileSync('ip', ['netns', 'delete', name], options)
  } catch {
    // What cannot be removed now is removed by the next run's removeStale.
  }
}

/**
 * @param pids  what `ip netns pids` printed: one pid a line. They are all descendants of the namespace's maker, or
 *              shells a user opened in it: nobody else knows the namespace.
 */
function endProcessesOf(name: string, pids: string): void {
  if (isOurOwnNamespace(name)) return
  for (const pid of pids.split('\n').filter(line => /^\d+$/.test(line))) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It ended by itself.
    }
  }
}

function isOurOwnNamespace(name: string): boolean {
  try {
    return statSync(`/run/netns/${name}`).ino === statSync('/proc/self/ns/net').ino
  } catch {
    return false
  }
}

function isStale(name: string): boolean {
  const match = new RegExp(`^${namePrefix}-(\\d+)-(\\d+)-\\d+-`).exec(name)
  return match !== null && startTime(Number(match[1])) !== match[2]
}

/** Clock ticks from boot to the start of a process, which tells it from later ones with its pid; null where it is gone. */
export function startTime(pid: number): string | null {
  try {
    // The command name, field 2, stands in brackets and may hold blanks and brackets itself.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    const [state] = fields
    return state === 'Z' || state === 'X' ? null : fields[19]!
  } catch {
    return null
  }
}

let removesOnExit = false

function removeAllOnExit(): void {
  if (removesOnExit) return
  removesOnExit = true
  process.on('exit', () => {
    for (const name of living) removeNamespaceNow(name)
  })
  for (const signal of signalsHandled) process.on(signal, () => process.exit(128 + signalNumbers[signal]))
}

async function runHere(command: string, args: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
  const child = startChild(command, args, { timeout: options.timeoutMs ?? 60_000, killSignal: 'SIGKILL' })
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  // A command that ends without reading its input is judged by its exit code alone.
  child.stdin!.on('error', () => {})
  child.stdin!.end(options.input ?? '')
  const [stdout, stderr, [code, signal]] = await Promise.all([text(child.stdout!), text(child.stderr!), ended])
  const exitCode = code ?? 128 + (signalNumbers[signal as keyof typeof signalNumbers] ?? 0)
  if (exitCode !== 0 && options.allowFailure !== true) {
    throw new Error(`Command "${[command, ...args].join(' ')}" ended with ${signal ?? exitCode}: ${stderr.trim()}`)
  }
  return { stdout, stderr, exitCode }
}

/** Through setpriv, so that the kernel kills the child when this process dies, by SIGKILL too (prctl(2), PDEATHSIG). */
function startChild(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  return spawn('setpriv', ['--pdeathsig', 'KILL', '--', command, ...args], {
    ...options,
    env: { ...(options.env ?? process.env), RINGWALL_LAB_ONLY: '1' },
  })
}
