/** SIGHUP: what of a changed file is taken up, what needs a restart, and a file with faults. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { ringwallProgram } from '../support/ringwall.ts'
import { eventually } from '../support/sessions.ts'

interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

test('a daemon takes up the log level, names what needs a restart, and goes on with a file that has faults', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-reload-'))
  const config = join(folder, 'daemon.yaml')
  const write = (lines: readonly string[]) =>
    writeFile(config, [`dataDir: data`, 'listen: 127.0.0.1:0', 'agentListen: 127.0.0.1:0', ...lines, ''].join('\n'))
  await write(['requestsPerMinute: 5000', 'notifyUrl: http://127.0.0.1:1/a-secret'])
  const environment = { RINGWALL_DAEMON_BANANA: '1', RINGWALL_DAEMON_AGENT_URL: 'https://ringwall.example:9443' }
  const daemon = spawn(ringwallProgram, ['daemon', '--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  })
  const ended = once(daemon, 'close')
  const log: LogLine[] = []
  createInterface({ input: daemon.stdout }).on('line', line => log.push(JSON.parse(line)))
  const said = (msg: string, from = 0) =>
    eventually(async () => log.slice(from).find(line => line.msg === msg) ?? assert.fail(`not said: ${msg}`), 60_000)
  const reload = () => {
    daemon.kill('SIGHUP')
    return log.length
  }
  const taken = 'nothing to read again: the REST API is served without TLS'

  try {
    await said('the REST API is served')
    const { file, settings } = log[0]!
    assert.deepEqual(
      { file, settings },
      {
        file: config,
        settings: {
          dataDir: `${join(folder, 'data')} (${config}:1)`,
          listen: `127.0.0.1:0 (${config}:2)`,
          agentListen: `127.0.0.1:0 (${config}:3)`,
          agentUrl: 'https://ringwall.example:9443 (RINGWALL_DAEMON_AGENT_URL)',
          requestsPerMinute: `5000 (${config}:4)`,
          notifyUrl: `http://127.0.0.1:1/… (${config}:5)`,
        },
      },
    )
    const unknown = await said('a variable of the environment is no setting')
    assert.deepEqual([unknown.level, unknown.name, unknown.meant], ['warn', 'RINGWALL_DAEMON_BANANA', null])

    let from = reload()
    await said(taken, from)
    assert.ok(!log.slice(from).some(({ level }) => level === 'warn'), 'nothing has changed')

    await write(['requestsPerMinute: many'])
    from = reload()
    const refused = await said('the configuration has faults; what was read before holds', from)
    assert.deepEqual(
      [refused.level, refused.faults],
      ['error', [`${config}:4 requestsPerMinute is the text "many", expected a whole number from 1 to 100000000`]],
    )

    // A reload ends with this line: without it the count below could take in what the last one says.
    await said(taken, from)

    await write(['requestsPerMinute: 7000', 'logLevel: warn'])
    from = reload()
    const stale = await said('these settings need a restart', from)
    assert.deepEqual(stale.settings, { requestsPerMinute: `7000 (${config}:4)`, notifyUrl: 'none (default)' })

    // At this level the daemon no longer says that there is nothing to read; it says so again when the level is lower.
    await write(['requestsPerMinute: 5000', 'notifyUrl: http://127.0.0.1:1/a-secret', 'logLevel: info'])
    const quiet = log.length
    daemon.kill('SIGHUP')
    await said(taken, quiet)
    assert.deepEqual(log.slice(from).filter(({ msg }) => msg === taken).length, 1, 'not said while only warnings were')
  } finally {
    daemon.kill('SIGTERM')
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  assert.equal(daemon.exitCode, 0)
})
