import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { endingsFile, readEndings, tellOfEndings } from '../../agent/endings.ts'
import { createLogger } from '../../common/log.ts'

test('a line that is none, or torn, is left out', () => {
  const text = [
    '2026-03-01T10:20:30Z memory the kernel killed it because memory ran out',
    '2026-03-01T10:20:31Z crash it was ended by SIG\u001b[31mSEGV',
    '2026-03-01T10:20:32Z nonsense it ended',
    'yesterday crash it ended',
    '2026-03-01T10:2',
    '',
  ].join('\n')
  assert.deepEqual(readEndings(text), [
    { timeMs: Date.UTC(2026, 2, 1, 10, 20, 30), kind: 'memory', why: 'the kernel killed it because memory ran out' },
  ])
})

describe('the agent tells of those before it', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ringwall-endings-'))
  })
  after(() => rm(folder, { recursive: true }))

  async function told(...minutesAgo: readonly number[]) {
    const lines = minutesAgo.map((minutes, index) => {
      const time = new Date(Date.now() - minutes * 60_000).toISOString().replace(/\.\d+/, '')
      return `${time} crash it was ended by SIG${index}\n`
    })
    await writeFile(join(folder, endingsFile), lines.join(''))
    const log: { level: string; times: number; last: { why: string } }[] = []
    await tellOfEndings(
      createLogger('test', 'info', { write: line => log.push(JSON.parse(line)) }),
      `${folder}:/var/lib/other`,
    )
    return log.map(({ level, times, last }) => `${level} ${times} ${last.why}`)
  }

  test('in the last hour, how many and the last', async () => {
    assert.deepEqual(await told(600, 50, 1), ['warn 2 it was ended by SIG2'])
  })

  test('and says nothing where there was none, or the clock is behind all of them', async () => {
    assert.deepEqual(await told(), [])
    assert.deepEqual(await told(600, 70), [])
    assert.deepEqual(await told(-10), [])
  })

  test('nor where nothing is kept, or nobody says where', async () => {
    const nobody = createLogger('test', 'info', { write: line => assert.fail(line) })
    await tellOfEndings(nobody, join(folder, 'missing'))
    await tellOfEndings(nobody, undefined)
  })
})
