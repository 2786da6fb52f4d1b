/** What a daemon does with state that a newer Ringwall has left. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, test } from 'node:test'
import { DaemonProcess } from '../support/daemon-process.ts'
import { ringwallCommand } from '../support/ringwall.ts'
import { eventually } from '../support/sessions.ts'

let folder: string
let daemon: DaemonProcess

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ringwall-downgrade-'))
  daemon = new DaemonProcess(folder, ['--notify-command', '/bin/true'])
  await daemon.start()
  await daemon.stop()
})
after(async () => {
  await daemon[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

const path = (file: string) => join(daemon.dataDir, file)

describe('a daemon whose state is of a newer Ringwall ends, and leaves it as it is:', () => {
  const rows = [
    {
      file: 'store.db',
      async make() {
        const database = new DatabaseSync(path('store.db'))
        const { user_version: known } = database.prepare('PRAGMA user_version').get() as { user_version: number }
        database.exec(`PRAGMA user_version = ${known + 1}`)
        database.close()
      },
      says: /^Cannot open store ".+store\.db": its format has version (\d+), and this Ringwall knows \d+ and older; run the newer one that wrote it\n$/,
      // Systemd starts it again after any other: RestartPreventExitStatus= of ringwalld.service.
      exitCode: 2,
    },
    {
      file: 'secrets.key',
      make: () => writeFile(path('secrets.key'), 'v2:0123\n'),
      says: /^ringwall: Cannot read secrets with ".+secrets\.key": expected 64 hex digits; put back the file of a backup\n$/,
      exitCode: 1,
    },
  ] as const
  for (const { file, make, says, exitCode } of rows) {
    test(file, async () => {
      const before = await readFile(path(file))
      await make()
      const made = await readFile(path(file))
      const flags = ['--data-dir', daemon.dataDir, '--listen', '127.0.0.1:0', '--agent-listen', '127.0.0.1:0']
      const ended = spawnSync(ringwallCommand, ['daemon', ...flags], { encoding: 'utf8' })
      assert.match(ended.stderr, says)
      assert.equal(ended.status, exitCode)
      assert.deepEqual(await readFile(path(file)), made)
      await writeFile(path(file), before)
    })
  }
})

test('what a daemon can do without begins anew: uses of keys, notifications, lines of the audit log', async () => {
  await writeFile(path('access-key-usage.json'), '{"format":2,"uses":[{"key":"k"}]}')
  await mkdir(path('notify/command'), { recursive: true })
  const spool = path('notify/command/000000000001.json')
  await writeFile(spool, '{"format":2,"about":[]}')
  const audit = `${await readFile(path('audit.jsonl'), 'utf8')}{"format":2,"what":"new"}\n`
  await writeFile(path('audit.jsonl'), audit)
  await daemon.start()
  assert.match(await eventually(() => readFile(`${spool}.damaged`, 'utf8')), /"format":2/)
  await eventually(async () => assert.match(daemon.complaints.join('\n'), /000000000001\.json\.damaged/))
  assert.ok((await readFile(path('audit.jsonl'), 'utf8')).startsWith(audit))
  await daemon.stop()
})
