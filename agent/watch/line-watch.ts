/**
 * Keeps a command running that prints what happens in the kernel, one line an event. What happened while it was down
 * is lost, so whoever listens must look for itself when it is up again; what happens between its start and the
 * moment it hears the kernel is lost as well, so it counts as up only when its netlink socket has joined the group.
 */
import { readFileSync } from 'node:fs'
import { type LineProcess, spawnLines } from '../../common/exec.ts'

export interface LineWatchOptions {
  readonly command: readonly string[]
  /** What the command listens to (linux/netlink.h, `NETLINK_…`; group numbers count from 1). */
  readonly netlink: { readonly protocol: number; readonly group: number }
  readonly onLine: (line: string) => void
  /**
   * The command hears events from now on; `first` the first time. Where it was only taken to hear them, because it took
   * long, it is told again when it does.
   */
  readonly onUp: (first: boolean) => void
  /** The command ended and is started again soon. */
  readonly onDown: (reason: string) => void
}

export interface Watch {
  /** Resolves when the first event that comes would be heard, or the command is taken to be up. */
  readonly ready: Promise<void>
  /** Ends the watch; nothing is called afterwards. */
  close(): Promise<void>
}

/**
 * Never long: nft 1.0.6 crashes on some events (a timeout object deleted, with its table say), and what happens until
 * it is back is noticed only then.
 */
const restartDelayMs = { first: 100, most: 400 } as const
/** A command that lived this long had started well: the next delay is the first again. */
const livedWellMs = 10_000
const upPollMs = 5
/** Where /proc does not tell, the command is taken to be up: it joins its group within some milliseconds. */
const upTimeoutMs = 1000
/** It may be that the host is busy: what has happened until it does hear must be looked for. */
const lateUp = { pollMs: 50, mostMs: 60_000 } as const

export function watchLines({ command, netlink, onLine, onUp, onDown }: LineWatchOptions): Watch {
  let child: LineProcess
  let timer: NodeJS.Timeout | undefined
  let delayMs: number = restartDelayMs.first
  let closed = false
  let wasUp = false
  const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>()

  function start(): void {
    const startedAt = performance.now()
    child = spawnLines(command, { onLine, onErrorLine: onLine, onEnd: reason => restart(reason, startedAt) })
    awaitUp(startedAt, { isTakenToBeUp: false })
  }

  function awaitUp(startedAt: number, { isTakenToBeUp }: { readonly isTakenToBeUp: boolean }): void {
    const { pid } = child
    if (pid === undefined || closed) return
    const waitedMs = performance.now() - startedAt
    const isUp = hears(pid, netlink)
    const isEnough = waitedMs >= upTimeoutMs
    if (isUp || (isEnough && !isTakenToBeUp)) {
      onUp(!wasUp)
      wasUp = true
      becomeReady()
    }
    if (isUp || waitedMs >= lateUp.mostMs) return
    const pollMs = isEnough ? lateUp.pollMs : upPollMs
    timer = setTimeout(() => awaitUp(startedAt, { isTakenToBeUp: isEnough }), pollMs)
  }

  function restart(reason: string, startedAt: number): void {
    clearTimeout(timer)
    if (performance.now() - startedAt >= livedWellMs) delayMs = restartDelayMs.first
    onDown(reason)
    if (closed) return
    timer = setTimeout(start, delayMs)
    delayMs = Math.min(delayMs * 2, restartDelayMs.most)
  }

  start()
  return {
    ready,
    async close() {
      closed = true
      clearTimeout(timer)
      await child.close()
    },
  }
}

/**
 * Whether a process has a netlink socket in the group. /proc/PID/net/netlink shows the sockets of the process's
 * network namespace: protocol second, the owner's pid third, the groups joined as a bit mask fourth.
 */
function hears(pid: number, { protocol, group }: LineWatchOptions['netlink']): boolean {
  try {
    return readFileSync(`/proc/${pid}/net/netlink`, 'utf8')
      .split('\n')
      .map(line => line.trim().split(/\s+/))
      .some(
        ([, protocolText, owner, groups = '0']) =>
          protocolText === String(protocol) && owner === String(pid) && bit(Number.parseInt(groups, 16), group - 1),
      )
  } catch {
    return false
  }
}

function bit(mask: number, index: number): boolean {
  return ((mask >>> index) & 1) === 1
}
