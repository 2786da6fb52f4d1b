import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type RunError, type RunOptions, run, spawnLines } from '../../common/exec.ts'

const large = 'a line of input\n'.repeat(100_000)

interface Row {
  readonly name: string
  readonly command: readonly string[]
  readonly options?: RunOptions
  readonly expected: { readonly exitCode: number; readonly stdout: string; readonly stderr: string }
}

const rows: readonly Row[] = [
  { name: 'output', command: ['echo', 'hello'], expected: { exitCode: 0, stdout: 'hello\n', stderr: '' } },
  {
    name: 'an exit code of its own',
    command: ['sh', '-c', 'echo wrong >&2; exit 3'],
    expected: { exitCode: 3, stdout: '', stderr: 'wrong\n' },
  },
  { name: 'no input is empty input', command: ['cat'], expected: { exitCode: 0, stdout: '', stderr: '' } },
  {
    name: 'large input, read from the descriptor',
    command: ['wc', '-c'],
    options: { input: large },
    expected: { exitCode: 0, stdout: '1600000\n', stderr: '' },
  },
  {
    name: 'large input, opened anew by its name',
    command: ['sh', '-c', 'cat /dev/stdin | wc -c'],
    options: { input: large },
    expected: { exitCode: 0, stdout: '1600000\n', stderr: '' },
  },
  {
    name: 'input that the command does not read',
    command: ['true'],
    options: { input: large },
    expected: { exitCode: 0, stdout: '', stderr: '' },
  },
  {
    name: 'messages in the C locale',
    command: ['sh', '-c', 'echo $LC_ALL'],
    expected: { exitCode: 0, stdout: 'C\n', stderr: '' },
  },
]

describe('a command run to its end', () => {
  for (const { name, command, options, expected } of rows) {
    test(name, async () => assert.deepEqual(await run(command, options), expected))
  }

  test('its lines one by one', async () => {
    const lines: string[] = []
    const result = await run(['printf', 'one\\ntwo'], { onLine: line => lines.push(line) })
    assert.deepEqual(lines, ['one', 'two'])
    assert.equal(result.stdout, '')
  })
})

const failures: readonly (readonly [string, readonly string[], RunOptions, RunError['kind']])[] = [
  ['no such command', ['ringwall-no-such-command'], {}, 'no-such-command'],
  ['a command that does not end', ['sleep', '60'], { timeoutMs: 50 }, 'timeout'],
  ['a child of the command that does not end', ['sh', '-c', 'sleep 3 & sleep 60'], { timeoutMs: 50 }, 'timeout'],
  ['more output than asked for', ['yes'], { maxOutputBytes: 1000 }, 'output-too-large'],
  ['a command that is killed', ['sh', '-c', 'kill -KILL $$'], {}, 'killed'],
]

describe('a command that cannot be run to its end', () => {
  for (const [name, command, options, kind] of failures) {
    test(`${name}: ${kind}`, async () => {
      await assert.rejects(run(command, options), { name: 'RunError', kind })
    })
  }
})

describe('a command read line by line', () => {
  test('gives its lines, and why it ended', async () => {
    const lines: string[] = []
    const reason = await new Promise<string>(resolve => {
      const onErrorLine = (line: string) => lines.push(`error: ${line}`)
      const command = ['sh', '-c', 'echo one; echo two; echo gone wrong >&2; exit 4']
      spawnLines(command, { onLine: line => lines.push(line), onErrorLine, onEnd: resolve })
    })
    assert.deepEqual(lines.toSorted(), ['error: gone wrong', 'one', 'two'])
    assert.match(reason, /ended \(gone wrong\)$/)
  })

  test('has long lines cut, and is ended where one does not end', async () => {
    const lengths: number[] = []
    const reason = await new Promise<string>(onEnd => {
      const script = 'head -c 100000 /dev/zero | tr "\\0" x; echo; echo after; exec cat /dev/zero'
      spawnLines(['sh', '-c', script], { onLine: line => lengths.push(line.length), onEnd })
    })
    assert.deepEqual(lengths.slice(0, 2), [65_536, 5])
    assert.match(reason, /SIGKILL/)
  })

  test('tells where it cannot be started', async () => {
    const reason = await new Promise<string>(resolve => {
      spawnLines(['ringwall-no-such-command'], { onLine: () => {}, onEnd: resolve })
    })
    assert.equal(reason, 'ringwall-no-such-command not found')
  })

  test('is gone when closed, and says nothing more', async () => {
    const calls: string[] = []
    const noted = Promise.withResolvers<void>()
    const child = spawnLines(['yes'], {
      onLine: line => {
        calls.push(line)
        noted.resolve()
      },
      onEnd: reason => calls.push(reason),
    })
    await noted.promise
    await child.close()
    const callsWhenClosed = calls.length
    assert.throws(() => process.kill(child.pid!, 0), { code: 'ESRCH' })
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(calls.length, callsWhenClosed)
  })
})
