/** What systemd hears, by its own systemd-notify, at a socket that stands for it. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { createLogger } from '../../common/log.ts'
import { openServiceManager } from '../../common/sd-notify.ts'

/** Node cannot receive on such a socket either. The descriptor of a barrier is closed by being received nowhere. */
const receiver = `
use IO::Socket::UNIX; use Socket; $| = 1;
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die "bind: $!";
print "listening\\n";
while (defined $socket->recv(my $message, 65536)) { $message =~ s/\\n/|/g; print "$message\\n" }
`

const skip = has('systemd-notify') && has('perl') ? false : 'needs systemd-notify and perl'

function has(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

class Listener {
  readonly socket: string
  readonly #folder: string
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'ringwall-notify-'))
    this.socket = join(this.#folder, 'socket')
    this.#child = spawn('perl', ['-e', receiver, this.socket], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
  }

  /** The next message, its lines joined by bars; barriers are left out. */
  async next(): Promise<string> {
    for (;;) {
      const { value, done } = await this.#lines.next()
      if (done) throw new Error('the listener has ended')
      if (!value.startsWith('BARRIER=')) return value
    }
  }

  async [Symbol.asyncDispose]() {
    this.#child.kill()
    await once(this.#child, 'exit')
    rmSync(this.#folder, { recursive: true })
  }
}

async function listen(): Promise<Listener> {
  const listener = new Listener()
  assert.equal(await listener.next(), 'listening')
  return listener
}

function keepLog() {
  const lines: string[] = []
  return { lines, log: createLogger('test', 'info', { write: line => void lines.push(JSON.parse(line).msg) }) }
}

test('a service says that it starts, is ready, reads its configuration again, and stops', { skip }, async () => {
  await using listener = await listen()
  const { log, lines } = keepLog()
  let status = 'starts'
  const environment = { NOTIFY_SOCKET: listener.socket, OTHER: 'stays' }
  const manager = openServiceManager({ log, status: () => status, environment })
  assert.deepEqual(environment, { OTHER: 'stays' }, 'children are not to believe that it was meant for them')
  assert.equal(await listener.next(), 'STATUS=starts')
  status = '2 ENIs\nenforced'
  await manager.ready()
  assert.equal(await listener.next(), 'READY=1|STATUS=2 ENIs enforced')
  let worked = false
  await manager.reload(async () => {
    worked = true
  })
  assert.ok(worked)
  assert.equal(await listener.next(), 'RELOADING=1|STATUS=reads its configuration again')
  assert.equal(await listener.next(), 'READY=1|STATUS=2 ENIs enforced')
  await manager.stopping()
  assert.equal(await listener.next(), 'STOPPING=1|STATUS=stops')
  assert.deepEqual(lines, [])
})

test('the status is told when it changes, the watchdog at a third of its time', { skip }, async context => {
  await using listener = await listen()
  const { log } = keepLog()
  context.mock.timers.enable({ apis: ['setInterval'] })
  let nowMs = 1000
  context.mock.method(performance, 'now', () => nowMs)
  let status = 'one'
  let looks = 0
  const environment = { NOTIFY_SOCKET: listener.socket, WATCHDOG_USEC: '600000', WATCHDOG_PID: String(process.pid) }
  const manager = openServiceManager({
    log,
    status() {
      looks += 1
      return status
    },
    environment,
    statusMs: 50,
  })
  /** Some looks, 50 ms apart. It looks at nothing while the last message is on its way, and no time passes then. */
  const look = async (times: number) => {
    for (const until = looks + times; looks < until; nowMs += 50) {
      const before = looks
      while (looks === before) {
        context.mock.timers.tick(50)
        await new Promise(setImmediate)
      }
    }
  }
  nowMs += 50
  assert.equal(await listener.next(), 'WATCHDOG=1|STATUS=one')
  status = 'two'
  await look(1)
  assert.equal(await listener.next(), 'STATUS=two')
  await look(1)
  status = 'three'
  await look(1)
  assert.equal(await listener.next(), 'STATUS=three', 'the watchdog not more often than is needed')
  for (let pings = 0; pings < 2; pings += 1) {
    await look(pings === 0 ? 1 : 4)
    assert.equal(await listener.next(), 'WATCHDOG=1')
  }
  await manager.stopping()
  assert.equal(await listener.next(), 'STOPPING=1|STATUS=stops')
})

test('a watchdog of another process is not told', { skip }, async () => {
  await using listener = await listen()
  const { log } = keepLog()
  const environment = { NOTIFY_SOCKET: listener.socket, WATCHDOG_USEC: '30000', WATCHDOG_PID: '1' }
  const manager = openServiceManager({ log, status: () => 'up', environment, statusMs: 20 })
  assert.equal(await listener.next(), 'STATUS=up')
  await manager.ready()
  assert.equal(await listener.next(), 'READY=1')
  await manager.stopping()
  assert.equal(await listener.next(), 'STOPPING=1|STATUS=stops')
})

test('without systemd nothing is done, and work is done', async () => {
  const { log, lines } = keepLog()
  const manager = openServiceManager({ log, status: () => 'up', environment: {} })
  let worked = false
  await manager.ready()
  await manager.reload(async () => {
    worked = true
  })
  await manager.stopping()
  assert.ok(worked)
  assert.deepEqual(lines, [])
})

test('a systemd that cannot be told is logged once, and stops nothing', { skip }, async () => {
  const { log, lines } = keepLog()
  const environment = { NOTIFY_SOCKET: join(tmpdir(), 'ringwall-nobody-listens') }
  const manager = openServiceManager({ log, status: () => 'up', environment })
  await manager.ready()
  await manager.stopping()
  assert.deepEqual(lines, ['cannot tell systemd how the service stands'])
})
