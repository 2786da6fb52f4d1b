/**
 * What a service tells systemd (sd_notify(3)): that it is ready, how it stands, that it is alive. Where systemd did not
 * start it, nobody is told and nothing is done.
 *
 * Node has no datagram sockets of the Unix family, so `systemd-notify` is run, which is wherever systemd is. It waits
 * until systemd has taken the message, so one is not lost with the process that brought it; but that process is another
 * than the service's main one: the unit needs `NotifyAccess=all`.
 */
import { run } from './exec.ts'
import type { Logger } from './log.ts'

export interface ServiceManagerOptions {
  /** How the service stands, a sentence for `systemctl status`; asked every few seconds. */
  readonly status: () => string
  readonly log: Logger
  /** The variables systemd gave are taken out, so that no child believes it was meant; `process.env` where left out. */
  readonly environment?: NodeJS.ProcessEnv
  /** How often the status is looked at; 5,000 where left out. */
  readonly statusMs?: number
}

/** Nothing here fails: what cannot be told is logged. */
export interface ServiceManager {
  /** What the service is for is done from now on. The watchdog, where the unit has one, is told from here on. */
  ready(): Promise<void>
  /** Tells of the beginning and the end of reading the configuration again. */
  reload(work: () => Promise<void>): Promise<void>
  /** It has begun to stop; nothing more is told. */
  stopping(): Promise<void>
}

const defaultStatusMs = 5_000
/** systemd-notify waits 5 s for systemd at most. */
const timeoutMs = 10_000

export function openServiceManager(options: ServiceManagerOptions): ServiceManager {
  const { status, log, environment = process.env, statusMs = defaultStatusMs } = options
  const socket = environment.NOTIFY_SOCKET
  const watchdogMs = readWatchdogMs(environment)
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name]
  if (socket === undefined) return { async ready() {}, reload: work => work(), async stopping() {} }

  // sd_watchdog_enabled(3) asks for half of the time; a third leaves room for one that comes late.
  const pingMs = watchdogMs === null ? Number.POSITIVE_INFINITY : watchdogMs / 3
  const tickMs = Math.min(statusMs, pingMs)
  let pingedAtMs = Number.NEGATIVE_INFINITY
  let statusTold = ''
  let isFailing = false
  let telling: Promise<void> = Promise.resolve()
  let waiting = 0
  // From the event loop: one that hangs tells nothing, and systemd starts the service anew.
  let timer: NodeJS.Timeout | undefined

  /** One after the other, in the order called. */
  function tell(words: readonly string[]): Promise<void> {
    waiting += 1
    telling = telling
      .then(() => notify(words))
      .finally(() => {
        waiting -= 1
      })
    return telling
  }

  async function notify(words: readonly string[]): Promise<void> {
    try {
      const { exitCode, stderr } = await run(['systemd-notify', ...words], {
        environment: { NOTIFY_SOCKET: socket! },
        timeoutMs,
      })
      if (exitCode !== 0) throw new Error(`systemd-notify ended with exit code ${exitCode}: ${stderr.trim()}`)
      isFailing = false
    } catch (error) {
      if (!isFailing) log.error({ error }, 'cannot tell systemd how the service stands')
      isFailing = true
    }
  }

  function look(): void {
    // One that systemd does not take is not followed by more of them.
    if (waiting > 0) return
    const words = [...pingIfDue(), ...statusIfNew()]
    if (words.length > 0) void tell(words)
  }

  function pingIfDue(): readonly string[] {
    const nowMs = performance.now()
    // Timers are not exact: a ping that is due before the next look is due now.
    if (nowMs - pingedAtMs < pingMs - tickMs / 2) return []
    pingedAtMs = nowMs
    return watchdogMs === null ? [] : ['WATCHDOG=1']
  }

  function statusIfNew(): readonly string[] {
    const sentence = status().replace(/\s+/g, ' ')
    if (sentence === statusTold) return []
    statusTold = sentence
    return [`STATUS=${sentence}`]
  }

  timer = setInterval(look, tickMs)
  timer.unref()
  look()
  return {
    ready: () => tell(['READY=1', ...statusIfNew()]),
    async reload(work) {
      await tell(['RELOADING=1', 'STATUS=reads its configuration again'])
      try {
        await work()
      } finally {
        statusTold = ''
        await tell(['READY=1', ...statusIfNew()])
      }
    },
    async stopping() {
      clearInterval(timer)
      await tell(['STOPPING=1', 'STATUS=stops'])
    },
  }
}

/** Null where the unit has no watchdog, or it is another process's. */
function readWatchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | null {
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(process.pid)) return null
  const microseconds = Number(WATCHDOG_USEC)
  return microseconds > 0 ? microseconds / 1000 : null
}
