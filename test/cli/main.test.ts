import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { listedCommands } from '../../cli/command-list.ts'
import { runRingwall } from '../support/launcher.ts'
import { ringwallCommand } from '../support/ringwall.ts'

const seeHelp = 'See "ringwall --help".'

test('--help, -h and help name every command once', async () => {
  const { exitCode, stdout, stderr } = await runRingwall(['--help'])
  assert.equal(exitCode, 0)
  assert.equal(stderr, '')
  const width = Math.max(...[...listedCommands.keys()].map(name => name.length))
  for (const [name, { summary }] of listedCommands) {
    const line = stdout.split('\n').filter(text => text.startsWith(`  ${name} `))
    assert.deepEqual(line, [`  ${name.padEnd(width)}  ${summary}`])
  }
  assert.equal((await runRingwall(['-h'])).stdout, stdout)
  assert.equal((await runRingwall(['help'])).stdout, stdout)
  assert.equal((await runRingwall(['help', '--help'])).stdout, stdout)
})

test('every command file is listed, under its own name, with its own summary and a help text that fits', async () => {
  const files = readdirSync(join(ringwallCommand, '..', 'cli', 'commands'))
    .map(file => file.replace(/\.ts$/, ''))
    // The words of "agent" that are an operator's.
    .filter(file => file !== 'operate-agents')
  assert.deepEqual([...listedCommands.keys()].sort(), files.sort())
  for (const [name, { summary, load }] of listedCommands) {
    const { command } = await load()
    assert.deepEqual([command.name, command.summary], [name, summary])
    assert.ok(command.usage.startsWith(`usage: ringwall ${name}`), name)
    assert.ok(command.usage.endsWith('\n'), name)
    assert.deepEqual(
      command.usage.split('\n').filter(line => line.length > 120),
      [],
    )
  }
})

for (const args of [
  ['help', 'compile'],
  ['compile', '--help'],
  ['compile', '-h'],
]) {
  test(`${args.join(' ')} prints the help of compile`, async () => {
    const { command } = await listedCommands.get('compile')!.load()
    assert.deepEqual(await runRingwall(args), { exitCode: 0, stdout: command.usage, stderr: '' })
  })
}

for (const asked of ['--version', '-V', 'version']) {
  test(`${asked} prints the version of package.json`, async () => {
    const { version } = JSON.parse(readFileSync(join(ringwallCommand, '..', 'package.json'), 'utf8')) as {
      version: string
    }
    assert.deepEqual(await runRingwall([asked]), { exitCode: 0, stdout: `ringwall ${version}\n`, stderr: '' })
  })
}

for (const [typed, stderr] of [
  ['complie', 'ringwall: unknown command "complie"; did you mean "compile"?\n'],
  ['--hlep', 'ringwall: unknown flag "--hlep"; did you mean "--help"?\n'],
  ['--json', 'ringwall: "--json" before the command; flags go behind it, as in: ringwall sg list --json\n'],
  ['xyzzy', `ringwall: unknown command "xyzzy". ${seeHelp}\n`],
  ['constructor', `ringwall: unknown command "constructor". ${seeHelp}\n`],
] as const) {
  test(`"${typed}" is no command`, async () => {
    assert.deepEqual(await runRingwall([typed]), { exitCode: 2, stdout: '', stderr })
  })
}

test('without a command: the help on stderr, exit code 2', async () => {
  const { exitCode, stdout, stderr } = await runRingwall([])
  assert.equal(exitCode, 2)
  assert.equal(stdout, '')
  assert.match(stderr, /usage: ringwall COMMAND/)
})

test('works from any folder and through a symbolic link', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringwall-link-'))
  try {
    symlinkSync(ringwallCommand, join(folder, 'rw'))
    assert.match(execFileSync('./rw', ['--version'], { cwd: folder, encoding: 'utf8' }), /^ringwall \d/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a reader that stops early is no error', () => {
  const { status, stderr } = spawnSync('sh', ['-c', '{ "$0" --help; echo "exit $?" >&2; } | true', ringwallCommand], {
    encoding: 'utf8',
  })
  assert.equal(status, 0)
  assert.equal(stderr, 'exit 0\n')
})

test('output that cannot be written is one line, and exit code 1', () => {
  const { status, stderr } = spawnSync('sh', ['-c', '"$0" --help > /dev/full', ringwallCommand], { encoding: 'utf8' })
  assert.equal(stderr, 'ringwall: Cannot write the output: ENOSPC: no space left on device, write\n')
  assert.equal(status, 1)
})

test('an unexpected error is one line, and has its stack only when asked for', async () => {
  const { exitCode, stderr } = await runRingwall(['compile', '/nonexistent/policy.yaml'])
  assert.notEqual(exitCode, 0)
  assert.match(stderr, /^[^\n]*\/nonexistent\/policy\.yaml[^\n]*\n$/)
})
