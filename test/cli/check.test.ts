/** `ringwall agent check` and `ringwall daemon check`, as an operator runs them; and a start with faults. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { writeCredentials } from '../../agent/link/credentials.ts'
import { makeKey } from '../../agent/link/keys.ts'
import { certify, makeAuthority } from '../support/certificates.ts'
import type { CommandResult } from '../support/command-line.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { freePort } from '../support/free-port.ts'
import { runRingwall } from '../support/launcher.ts'
import { acceptingPorts } from '../support/policy-documents.ts'

const folder = await mkdtemp(join(tmpdir(), 'ringwall-check-'))
after(() => rm(folder, { recursive: true, force: true }))
let made = 0

/** A file of its own in a folder of its own. */
async function write(name: string, text: string, mode = 0o644): Promise<string> {
  made += 1
  const path = join(folder, String(made), name)
  await mkdir(join(path, '..'))
  await writeFile(path, text, { mode })
  return path
}

/** The lines of the table, as setting, value and source. */
function tableOf({ stdout }: CommandResult): ReadonlyMap<string, readonly string[]> {
  const [, table = ''] = /^SETTING.*\n((?:.+\n)+)/m.exec(stdout) ?? []
  return new Map(
    table
      .trim()
      .split('\n')
      .map(line => line.split(/ {2,}/))
      .map(([key = '', ...rest]) => [key, rest]),
  )
}

const faultsOf = ({ stderr }: CommandResult) => stderr.split('\n').slice(0, -1)

async function listen(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const close = () => new Promise<void>(resolve => server.close(() => resolve()))
  return { port, [Symbol.asyncDispose]: close }
}

describe('of an agent', () => {
  test('every setting with its source, and what it names', async () => {
    const policy = await write('policy.json', JSON.stringify(acceptingPorts(7000)))
    const hook = await write('hook', '#!/bin/sh\n', 0o755)
    const stateDir = join(folder, 'not-there-yet', 'state')
    const port = await freePort()
    const text = [
      `policy: ${policy}`,
      `stateDir: ${stateDir}`,
      `notifyCommand: [${hook}, -x]`,
      'rescuePort: [22, 2222]',
    ]
    const config = await write('agent.yaml', [...text, 'notifyUrl: https://hooks.example/a-secret-path', ''].join('\n'))
    const flags = ['--config', config, '--metrics-address', `127.0.0.1:${port}`]
    const result = await runRingwall(['agent', 'check', ...flags])
    assert.deepEqual({ faults: faultsOf(result), exitCode: result.exitCode }, { faults: [], exitCode: 0 })
    const table = tableOf(result)
    assert.deepEqual(table.get('policy'), [policy, `${config}:1`])
    assert.deepEqual(table.get('stateDir'), [stateDir, `${config}:2`])
    assert.deepEqual(table.get('notifyCommand'), [JSON.stringify([hook, '-x']), `${config}:3`])
    assert.deepEqual(table.get('rescuePort'), ['22,2222', `${config}:4`])
    assert.deepEqual(table.get('notifyUrl'), ['https://hooks.example/…', `${config}:5`])
    assert.deepEqual(table.get('metricsAddress'), [`127.0.0.1:${port}`, '--metrics-address'])
    assert.deepEqual(table.get('onStop'), ['keep', 'default'])
    assert.deepEqual(table.get('notifySecretFile'), ['-', 'default'])
    for (const line of [
      `file: ${config}`,
      `"${stateDir}" is made at the start`,
      `led by the policy file "${policy}", which is sound: 1 ENI`,
      `127.0.0.1:${port} is free`,
      `"${hook}" can be run`,
      'no faults',
    ]) {
      assert.ok(result.stdout.split('\n').includes(line), line)
    }
    assert.equal((await readdir(folder)).includes('not-there-yet'), false, 'nothing was made')
  })

  test('all faults at once: of settings, and of what the sound ones name', async () => {
    const policy = await write('policy.json', JSON.stringify({ ...acceptingPorts(7000), surprise: 1 }))
    const hook = await write('hook', '#!/bin/sh\n', 0o777)
    await chmod(hook, 0o777)
    const secret = await write('secret', 'whsec_short\n', 0o600)
    await using taken = await listen()
    const settings = {
      policy,
      notifyCommand: hook,
      notifyUrl: 'https://a.example/',
      notifySecretFile: secret,
      metricsAddress: `127.0.0.1:${taken.port}`,
      logLevel: 'loud',
    }
    const config = await write('agent.json', JSON.stringify(settings, null, 1))
    const result = await runRingwall([
      'agent',
      'check',
      '--config',
      config,
      '--guard-seconds',
      'x',
      '--no-such',
      'surplus',
    ])
    assert.equal(result.exitCode, 2)
    const [unknown, ...faults] = faultsOf(result)
    assert.equal(unknown, 'unknown flag "--no-such"')
    const expected = [
      'unexpected argument "surplus"',
      '--guard-seconds is "x", expected a whole number from 0 to 3600',
      `${config}:7 logLevel is "loud", expected "debug" or "info" or "warn" or "error"`,
      /^.*policy\.json: surprise: Cannot read field "surprise"/,
      `${config}:6 metricsAddress is "127.0.0.1:${taken.port}", where another process listens: expected a free port`,
      /^.*agent\.json:3 notifyCommand: Cannot run ".*hook": others than its owner can write it/,
      /^.*agent\.json:5 notifySecretFile: Cannot take the secret from ".*secret": expected "whsec_" and base64/,
    ]
    assert.equal(faults.length, expected.length, result.stderr)
    for (const [index, fault] of faults.entries()) {
      const told = expected[index]!
      if (typeof told === 'string') assert.equal(fault, told)
      else assert.match(fault, told)
    }
    assert.deepEqual(tableOf(result).get('logLevel'), ['faulty', '-'])
  })

  test('nobody leads it', async () => {
    const result = await runRingwall([
      'agent',
      'check',
      '--state-dir',
      join(folder, 'empty'),
      '--metrics-address',
      'none',
    ])
    assert.equal(result.exitCode, 2)
    assert.match(
      result.stderr,
      /^nobody leads this host: expected policy, or "ringwall agent join" \(no credentials in "/,
    )
  })

  const keys = makeKey()
  const credentialsOf = async (options: { readonly untilMs?: number; readonly privateKey?: string }) => {
    const ca = await makeAuthority()
    const { untilMs, privateKey = keys.privateKey } = options
    const issue = { usage: 'client' as const, ...(untilMs === undefined ? {} : { untilMs }) }
    const certificate = await certify(ca, keys.publicKey, issue)
    made += 1
    const stateDir = join(folder, String(made))
    const rest = { certificate, privateKey, caCertificate: ca.certificate }
    await writeCredentials(stateDir, { daemonUrl: 'https://198.18.0.1:9443', agentId: 'agent-1', ...rest })
    return stateDir
  }

  for (const { name, options, exitCode, says } of [
    {
      name: 'good ones',
      options: {},
      exitCode: 0,
      says: /^led by the daemon at https:\/\/198\.18\.0\.1:9443 as agent agent-1; /,
    },
    {
      name: 'a certificate that has run out',
      options: { untilMs: Date.now() - 1000 },
      exitCode: 2,
      says: /^.*credentials\.json: Cannot use the certificate that the daemon gave: it is not valid after /,
    },
    {
      name: 'another key',
      options: { privateKey: makeKey().privateKey },
      exitCode: 2,
      says: /^.*credentials\.json: Cannot use the certificate that the daemon gave: it is for another key$/,
    },
  ]) {
    test(`credentials: ${name}`, async () => {
      const stateDir = await credentialsOf(options)
      const result = await runRingwall(['agent', 'check', '--state-dir', stateDir, '--metrics-address', 'none'])
      assert.equal(result.exitCode, exitCode, result.stderr)
      const lines = exitCode === 0 ? result.stdout.split('\n') : faultsOf(result)
      assert.ok(
        lines.some(line => says.test(line)),
        lines.join('\n'),
      )
    })
  }

  const skip = process.getuid!() === 0 ? false : 'needs root, which is more than the service is'
  test('root sees what the user of the service sees', { skip }, async () => {
    const policy = await write('policy.json', JSON.stringify(acceptingPorts(7000)), 0o600)
    await chmod(folder, 0o755)
    const stateDir = join(folder, 'of-nobody')
    await mkdir(stateDir)
    await chown(stateDir, 65_534, 65_534)
    const flags = ['--state-dir', stateDir, '--policy', policy, '--metrics-address', 'none']
    const result = await runRingwall(['agent', 'check', ...flags])
    const group = execFileSync('getent', ['group', '65534'], { encoding: 'utf8' }).split(':')[0]
    assert.deepEqual(faultsOf(result), [
      `Cannot read policy file "${policy}": permission denied`,
      `What nobody alone must be able to read: chgrp ${group} FILE; chmod 0640 FILE`,
    ])
    assert.ok(result.stdout.includes(`looked at as nobody, whose "${stateDir}" is\n`))
    await chmod(policy, 0o644)
    assert.equal((await runRingwall(['agent', 'check', ...flags])).exitCode, 0)
    await chmod(stateDir, 0o500)
    const { stderr } = await runRingwall(['agent', 'check', ...flags])
    assert.equal(
      stderr,
      `--state-dir is "${stateDir}", where nothing can be written: "${stateDir}": permission denied\n`,
    )
  })
})

describe('of the daemon', () => {
  const check = async (flags: readonly string[]) =>
    runRingwall([
      ...['daemon', 'check', '--data-dir', join(folder, 'data')],
      ...['--agent-listen', `127.0.0.1:${await freePort()}`, '--listen', `127.0.0.1:${await freePort()}`, ...flags],
    ])
  const pair = async (options: { readonly untilMs?: number } = {}) => {
    const { certificate, privateKey } = await makeAuthority(options)
    return { certificate: await write('tls.crt', certificate), key: await write('tls.key', privateKey) }
  }

  test('certificate and key', async () => {
    const [one, other, old] = [await pair(), await pair(), await pair({ untilMs: Date.now() - 1000 })]
    const good = await check(['--tls-certificate', one.certificate, '--tls-key', one.key])
    assert.deepEqual({ faults: faultsOf(good), exitCode: good.exitCode }, { faults: [], exitCode: 0 })
    assert.ok(good.stdout.includes('certificate and key fit together\n'))
    const mixed = await check(['--tls-certificate', one.certificate, '--tls-key', other.key])
    assert.deepEqual(faultsOf(mixed), [`${one.certificate}, ${other.key}: the key is of another certificate`])
    const outdated = await check(['--tls-certificate', old.certificate, '--tls-key', old.key])
    assert.match(outdated.stderr, /^.*tls\.crt: not valid after .*Z, and it is .*Z\n$/)
    const swapped = await check(['--tls-certificate', one.key, '--tls-key', one.certificate])
    assert.match(swapped.stderr, /^.*tls\.key: it holds no certificate in PEM\n.*: no pair in PEM: .*\n$/)
    const missing = await check(['--tls-certificate', '/nowhere/tls.crt', '--tls-key', one.key])
    assert.match(missing.stderr, /^--tls-certificate is "\/nowhere\/tls\.crt", which cannot be read: ENOENT/)
    assert.deepEqual(
      [mixed, outdated, swapped, missing].map(({ exitCode }) => exitCode),
      [2, 2, 2, 2],
    )
  })

  test('addresses and sockets', async () => {
    const elsewhere = await check(['--agent-listen', '198.18.255.254:9443'])
    assert.deepEqual(faultsOf(elsewhere), ['--agent-listen is "198.18.255.254:9443", which is no address of this host'])
    await using taken = await listen()
    const all = await check(['--agent-listen', `0.0.0.0:${taken.port}`])
    assert.deepEqual(faultsOf(all), [
      `--agent-listen is "0.0.0.0:${taken.port}", where another process listens: expected a free port`,
    ])
    const nowhere = await check(['--listen', 'unix:/nowhere/api.sock'])
    assert.deepEqual(faultsOf(nowhere), ['--listen is "/nowhere/api.sock": there is no directory "/nowhere"'])
    const socket = await check(['--listen', `unix:${folder}/api.sock`])
    assert.equal(socket.exitCode, 0, socket.stderr)
    const long = await check(['--listen', `unix:${folder}/${'x'.repeat(120)}`])
    assert.match(long.stderr, /^--listen is a path of \d+ bytes, expected 107 at most\n$/)
  })

  test('its own ports are no fault while it runs, and are one for another', async () => {
    await using daemon = new DaemonProcess(join(folder, 'running'))
    await daemon.start()
    const ports = ['--listen', `127.0.0.1:${daemon.port}`, '--agent-listen', `127.0.0.1:${daemon.agentPort}`]
    const own = await runRingwall(['daemon', 'check', '--data-dir', daemon.dataDir, ...ports])
    assert.deepEqual(faultsOf(own), [])
    assert.equal(own.stdout.match(/is held by the one that runs \(pid \d+\)/g)?.length, 2)
    const other = await runRingwall(['daemon', 'check', '--data-dir', join(folder, 'data'), ...ports])
    assert.equal(faultsOf(other).length, 2)
  })
})

describe('a start with faults', () => {
  test('of the agent and of the daemon: exit code 2, a line each, and nothing of it happens', async () => {
    const config = await write('both.yaml', 'logLevel: loud\nbanana: 1\n')
    const dataDir = join(folder, 'never')
    for (const [program, flags] of [
      ['agent', ['--state-dir', dataDir, '--policy', '/nowhere/policy.yaml']],
      ['daemon', ['--data-dir', dataDir]],
    ] as const) {
      const { exitCode, stdout, stderr } = await runRingwall([program, 'run', '--config', config, ...flags, '--mist'])
      assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: '' })
      assert.equal(
        stderr,
        `unknown flag "--mist"
${config}:1 logLevel is "loud", expected "debug" or "info" or "warn" or "error"
${config}:2 banana is no setting: docs/configuration.md has them
"ringwall ${program} --help" has all settings, "ringwall ${program} check" what holds.
`,
      )
    }
    assert.equal((await readdir(folder)).includes('never'), false)
  })

  test('of the daemon: a key of another certificate', async () => {
    const [one, other] = [await makeAuthority(), await makeAuthority()]
    const files = [await write('tls.crt', one.certificate), await write('tls.key', other.privateKey)]
    const flags = ['--data-dir', join(folder, 'never'), '--tls-certificate', files[0]!, '--tls-key', files[1]!]
    const { exitCode, stderr } = await runRingwall(['daemon', ...flags])
    assert.equal(stderr, `Cannot serve with "${files[0]}" and "${files[1]}": the key is of another certificate\n`)
    assert.equal(exitCode, 2)
  })
})
