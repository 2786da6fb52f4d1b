import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import { checkCommand, parseCommand, runCommand } from '../../../common/notify/command.ts'
import { bodyOf } from '../../../common/notify/notification.ts'
import { startTime } from '../../../lab/netns.ts'
import { notification } from '../../support/notifications.ts'
import { eventually } from '../../support/sessions.ts'

const folder = await mkdtemp(join(tmpdir(), 'ringwall-hook-'))
after(() => rm(folder, { recursive: true }))

async function script(name: string, text: string, mode = 0o755): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, `#!/bin/sh\n${text}\n`)
  await chmod(path, mode)
  return path
}

const never = new AbortController().signal

describe('a command', () => {
  test('has the notification in its environment and on standard input, and nothing else of ours', async () => {
    process.env.RINGWALL_TOKEN_FOR_TEST = 'secret'
    const hook = await script('all', 'cat; echo; env')
    const told = notification('n-1')
    const [body, ...variables] = (await runCommand([hook], told, never)).split('\n')
    delete process.env.RINGWALL_TOKEN_FOR_TEST
    assert.equal(body, bodyOf(told))
    const names = variables.map(line => line.split('=')[0]!)
    assert.ok(variables.includes('RINGWALL_ADDRESSES=198.18.0.2 2001:db8::2'))
    assert.ok(!names.includes('RINGWALL_TOKEN_FOR_TEST'))
    const others = names.filter(name => !name.startsWith('RINGWALL_'))
    const expected = ['HOME', 'LANG', 'LC_ALL', 'PATH', 'PWD', 'SHLVL', 'TMPDIR', 'TZ', '_', 'OLDPWD']
    assert.deepEqual(
      others.filter(name => !expected.includes(name)),
      [],
    )
  })

  test('no shell reads what it is given', async () => {
    const trace = join(folder, 'trace')
    const hook = await script('echo', 'echo "$RINGWALL_MESSAGE|$1"')
    const message = `$(touch ${trace}) ; touch ${trace}`
    const output = await runCommand([hook, `; touch ${trace}`], notification('n-1', { message }), never)
    assert.equal(output, `${message}|; touch ${trace}`)
    await assert.rejects(readFile(trace))
  })

  const failures: readonly (readonly [string, string, RegExp])[] = [
    ['an exit code', 'echo "no router"; echo "bad peer" >&2; exit 3', /^exit code 3: no router\nbad peer$/],
    ['an exit code without a word', 'exit 1', /^exit code 1$/],
    ['a signal', 'kill -KILL $$', /SIGKILL/],
  ]
  for (const [name, text, expected] of failures) {
    test(`fails by ${name}`, async () => {
      const hook = await script('fails', text)
      await assert.rejects(runCommand([hook], notification('n-1'), never), { message: expected })
    })
  }

  test('that prints without end is not kept whole', async () => {
    const hook = await script('prints', 'yes | head -c 3000000; exit 1')
    await assert.rejects(runCommand([hook], notification('n-1'), never), ({ message }: Error) => message.length < 3_000)
  })

  for (const [name, end] of [
    ['takes too long', ({ mock }: TestContext) => mock.timers.tick(500)],
    ['is not waited for any longer', (_: TestContext, waiting: AbortController) => waiting.abort()],
  ] as const) {
    test(`that ${name} is killed with what it started`, async context => {
      const pidFile = join(folder, `pid of what ${name}`)
      const hook = await script('hangs', `sleep 600 & echo $! > "${pidFile}"; wait`)
      // Its time is over when it has started its child, however slow the machine is.
      context.mock.timers.enable({ apis: ['setTimeout'] })
      const waiting = new AbortController()
      const killed = assert.rejects(runCommand([hook], notification('n-1'), waiting.signal, 500), { name: 'RunError' })
      let written = ''
      while (!written.endsWith('\n')) {
        await new Promise(setImmediate)
        written = existsSync(pidFile) ? readFileSync(pidFile, 'utf8') : ''
      }
      const pid = Number(written)
      const begun = startTime(pid)
      assert.notEqual(begun, null)
      end(context, waiting)
      await killed
      context.mock.timers.reset()
      await eventually(async () => assert.notEqual(startTime(pid), begun))
    })
  }
})

describe('what is configured as the command', () => {
  const good: readonly (readonly [string, readonly string[]])[] = [
    ['/usr/local/bin/hook', ['/usr/local/bin/hook']],
    ['/opt/my hooks/hook', ['/opt/my hooks/hook']],
    ['["/bin/hook", "-x", "a b"]', ['/bin/hook', '-x', 'a b']],
  ]
  for (const [text, expected] of good) test(text, () => assert.deepEqual(parseCommand(text), expected))

  const bad: readonly (readonly [string, RegExp])[] = [
    ['hook', /"hook" is no command: expected the path of a program/],
    ['', /"" is no command/],
    ['["hook"]', /expected the path/],
    ['[]', /expected the path/],
    ['["/bin/hook", 1]', /expected a JSON array of strings/],
    ['["/bin/hook"', /no JSON array/],
  ]
  for (const [text, expected] of bad) {
    test(`refused: ${text}`, () => assert.throws(() => parseCommand(text), { message: expected }))
  }

  const files: readonly (readonly [string, number, RegExp])[] = [
    ['others can write it', 0o777, /others than its owner can write it/],
    ['its group can write it', 0o775, /others than its owner can write it/],
    ['it is not executable', 0o644, /not executable/],
  ]
  for (const [name, mode, expected] of files) {
    test(`refused: ${name}`, async () => {
      await assert.rejects(checkCommand([await script('checked', '', mode)]), { message: expected })
    })
  }

  test('refused: it is not there', async () => {
    await assert.rejects(checkCommand([join(folder, 'none')]), { message: /Cannot run ".*none": ENOENT/ })
    await assert.rejects(checkCommand([folder]), { message: /it is no file/ })
  })

  test('taken: ours and nobody else’s to write', async () => checkCommand([await script('checked', '', 0o755)]))
})
