/** `ringwall top` against a real daemon and an agent without kernel: in a pipe, and on a terminal of its own. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { ddosSample, ddosStatus, quietStatus } from '../../support/ddos-status.ts'
import { enrolFake, FakeAgent } from '../../support/fake-agent.ts'
import { freePort } from '../../support/free-port.ts'
import { startRingwall } from '../../support/launcher.ts'
import { startOperator } from '../../support/operator.ts'
import { Printed } from '../../support/printed.ts'
import { ringwallProgram } from '../../support/ringwall.ts'
import { eventually } from '../../support/sessions.ts'
import { noTerminal, startOnTerminal } from '../../support/terminal.ts'

const operator = await startOperator()
let agent: FakeAgent
let second: NodeJS.Timeout
before(async () => {
  for (const id of ['i-1', 'i-2']) await operator.do('instance', 'register', id, '--name', `${id}-name`)
  await operator.do('ddos', 'threshold', 'i-1', '--bps', '500', '--pps', '60000')
  const { token } = JSON.parse(await operator.do('agent', 'invite', '--instance', 'i-1,i-2', '--json'))
  agent = await FakeAgent.connect(operator.agentPort, await enrolFake(operator.agentPort, token))
  agent.say({ type: 'ddos-status', instances: [ddosStatus(), quietStatus({ instanceId: 'i-2' })] })
  // Faster than a second, for tests that wait for it.
  second = setInterval(() => {
    const samples = ['i-1', 'i-2'].map(instanceId => ddosSample({ instanceId, time: new Date().toISOString() }))
    agent.say({ type: 'ddos-samples', samples })
  }, 100)
})
after(async () => {
  clearInterval(second)
  await agent.close()
  await operator[Symbol.asyncDispose]()
})

suite('in a pipe', () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    test(`a line for each instance and second, until ${signal}: exit code 0, no control characters`, async () => {
      const child = startRingwall(['top'])
      const printed = new Printed(child.stdout!)
      await printed.until(/ i-1 [\s\S]* i-2 [\s\S]* i-1 [\s\S]*\n/)
      const closed = once(child, 'close')
      child.kill(signal)
      assert.deepEqual(await closed, [0, null])
      assert.match(
        printed.text,
        /^\d\d:\d\d:\d\d {2}i-1 {2}cleaning {2}offered {2}812 Mbit\/s 94\.1 kpps {2}passed .* {2}162% of threshold {2}syn,udp {2}dropped by syn 25 kpps, sources 9\.1 kpps$/m,
      )
      assert.doesNotMatch(printed.text, /[^\P{Cc}\n]/u)
    })
  }

  test('the instances that are named, by name too; as JSON one in a line', async () => {
    const child = startRingwall(['top', 'i-2-name', '--json'])
    const printed = new Printed(child.stdout!)
    await printed.until(/\n[\s\S]*\n/)
    const closed = once(child, 'close')
    child.kill('SIGINT')
    await closed
    for (const line of printed.text.trimEnd().split('\n')) {
      const { instanceId, phase, sample } = JSON.parse(line)
      assert.deepEqual([instanceId, phase, sample.offered.packetsPerSecond], ['i-2', 'normal', 94_100])
    }
  })

  test('a reader that has seen enough ends it', async () => {
    const child = spawn('sh', ['-c', '{ "$0" top; echo "exit $?" >&2; } | head -n 1', ringwallProgram], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const ended = once(child, 'close')
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', chunk => {
      stderr += chunk
    })
    await ended
    assert.equal(stderr, 'exit 0\n')
  })

  test('once: a table, or a line of JSON each', async () => {
    // A sample that does not come in time is not waited for.
    await eventually(async () =>
      assert.match(
        await operator.do('top', '--once'),
        /^INSTANCE .*\ni-1 +cleaning +812 Mbit\/s +94\.1 kpps +500 Mbit\/s +162% +syn, udp\ni-2 +normal +812 Mbit\/s .*\n$/,
      ),
    )
    const lines = (await operator.do('top', 'i-2', 'i-1', '--once', '--json')).trimEnd().split('\n')
    assert.deepEqual(
      lines.map(line => JSON.parse(line).instanceId),
      ['i-1', 'i-2'],
    )
  })

  test('what cannot be watched says so', async () => {
    assert.deepEqual(await operator.run(['top', 'i-3']), {
      exitCode: 4,
      stdout: '',
      stderr: 'no such instance "i-3"; did you mean "i-1"?\n',
    })
    assert.equal((await operator.run(['top', '--url', 'http://127.0.0.1:1'])).exitCode, 5)
    assert.deepEqual(await operator.run(['top', '--local', '--token', 'x']), {
      exitCode: 2,
      stdout: '',
      stderr:
        'ringwall top: --local and --token exclude each other: the agent on this host is asked, or a daemon\nSee "ringwall top --help".\n',
    })
  })
})

test('a daemon that is away for a while: it is said, and that it is back', async () => {
  await using way = await openWay(Number(new URL(operator.url).port))
  const child = startRingwall(['top', 'i-1', '--url', `http://127.0.0.1:${way.port}`])
  const closed = once(child, 'close')
  const [seen, said] = [new Printed(child.stdout!), new Printed(child.stderr!)]
  await seen.until(/ i-1 /)
  await way.cut()
  await said.until(/^Cannot reach the daemon at http:\/\/127\.0\.0\.1:\d+: .*; trying again\.\n/)
  const before = seen.text.length
  await way.open()
  await said.until(/\nIt answers again\.\n$/)
  await seen.until(new RegExp(`^[\\s\\S]{${before},} i-1 [\\s\\S]*\\n`))
  child.kill('SIGINT')
  assert.deepEqual(await closed, [0, null])
})

interface Way extends AsyncDisposable {
  readonly port: number
  /** Whoever is on it loses his connection, and nobody gets on. */
  cut(): Promise<void>
  open(): Promise<void>
}

/** A way to a port of this machine that can be cut. */
async function openWay(to: number): Promise<Way> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    const onward = connect(to, '127.0.0.1')
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  const port = await freePort()
  const way: Way = {
    port,
    async open() {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    async cut() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
    [Symbol.asyncDispose]: () => way.cut(),
  }
  await way.open()
  return way
}

suite('on a terminal', { skip: noTerminal }, () => {
  const enterScreen = '\u001b[?1049h'
  const leaveScreen = '\u001b[?1049l'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with an escape character.
  const colors = /\u001b\[[\d;]*m/

  // biome-ignore lint/suspicious/noControlCharactersInRegex: what enters and leaves a screen begins with an escape character.
  const goneOn = /\u001b\[\?1049l[\s\S]*\u001b\[\?1049h[\s\S]*> i-1 /

  const top = `"${ringwallProgram}" top; echo "exit $?"`
  /** The modes that the terminal has now, those of a shell or others. */
  const modes = `stty -a | tr ' ;' '\\n\\n' | grep -x -e -echo -e echo -e -icanon -e icanon`

  for (const [name, keys] of [
    ['q', 'q'],
    ['Ctrl-C', '\u0003'],
  ] as const) {
    test(`drawn again and again, until ${name}: the terminal is as it was`, async () => {
      const { child, printed } = startOnTerminal(`${top}; ${modes}`)
      await printed.until(/> i-1 [\s\S]*> i-1 [\s\S]*> i-1 /)
      child.stdin!.write(keys)
      await printed.until(/exit \d+[\s\S]*icanon/)
      child.stdin!.end()
      await printed.ended
      const [before = '', during = '', rest = ''] = printed.text.replaceAll(leaveScreen, enterScreen).split(enterScreen)
      assert.equal(before, '')
      assert.ok(during.startsWith('\u001b[?25l') && during.endsWith('\u001b[?25h'))
      assert.match(during, colors)
      assert.equal(rest.replaceAll('\r', ''), 'exit 0\nicanon\necho\n')
    })
  }

  test('arrows choose, and colours can be had without', async () => {
    const { child, printed } = startOnTerminal(top, { NO_COLOR: '1' })
    await printed.until(/> i-1 /)
    assert.ok(printed.text.startsWith(enterScreen))
    child.stdin!.write('\u001b[B')
    await printed.until(/> i-2 [\s\S]*instance +i-2/)
    child.stdin!.write('kq')
    await printed.until(/exit 0/)
    child.stdin!.end()
    await printed.ended
    assert.ok(printed.text.includes(leaveScreen))
    assert.doesNotMatch(printed.text, colors)
  })

  test('a terminal that can do nothing has lines', async () => {
    // Without a screen Ctrl-C is a signal, to the shell too.
    const { child, printed } = startOnTerminal(`trap : INT; ${top}`, { TERM: 'dumb' })
    await printed.until(/ i-1 {2}cleaning [\s\S]* i-1 {2}cleaning /)
    child.stdin!.write('\u0003')
    await printed.until(/exit 0/)
    child.stdin!.end()
    await printed.ended
    assert.ok(!printed.text.includes('\u001b'))
  })

  test('a signal from elsewhere: the terminal is as it was', async () => {
    const { child, printed } = startOnTerminal(`sh -c 'echo "pid $$"; exec "$0" top' "${ringwallProgram}"; ${modes}`)
    await printed.until(/pid \d+[\s\S]*> i-1 /)
    process.kill(Number(/pid (\d+)/.exec(printed.text)![1]), 'SIGTERM')
    await printed.until(/icanon[\s\S]*echo/)
    child.stdin!.end()
    await printed.ended
    const [, , rest = ''] = printed.text.replaceAll(leaveScreen, enterScreen).split(enterScreen)
    assert.equal(rest.replaceAll('\r', ''), 'icanon\necho\n')
  })

  test('Ctrl-Z gives the terminal to the shell, and it goes on when the shell says so', async () => {
    const { child, printed } = startOnTerminal(`set -m; ${top}; ${modes}; fg > /dev/null; echo "exit $?"`)
    await printed.until(/> i-1 /)
    child.stdin!.write('\u001a')
    await printed.until(/exit 14\d[\s\S]*icanon\s+echo[\s\S]*> i-1 /)
    child.stdin!.write('q')
    await printed.until(/exit 0/)
    child.stdin!.end()
    await printed.ended
    assert.equal(printed.text.split(enterScreen).length, 3)
    assert.equal(printed.text.split(leaveScreen).length, 3)
  })

  test('Ctrl-Z where no shell could go on with it: it goes on itself', async () => {
    const { child, printed } = startOnTerminal(top)
    await printed.until(/> i-1 /)
    child.stdin!.write('\u001a')
    await printed.until(goneOn)
    child.stdin!.write('q')
    await printed.until(/exit 0/)
    child.stdin!.end()
    await printed.ended
  })
})
