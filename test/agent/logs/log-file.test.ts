/** The file for shipping: lines whole and in order, renamed under its writer, and on a disk that refuses. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { LogFile } from '../../../agent/logs/log-file.ts'
import { createLogger } from '../../../common/log.ts'
import { eventually } from '../../support/sessions.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ringwall-log-file-'))
})
after(() => rm(folder, { recursive: true }))

function openFile(path: string) {
  const told: { level: string; msg: string }[] = []
  const loss = { lines: 0 }
  const log = createLogger('test', 'info', { write: line => void told.push(JSON.parse(line)) })
  const file = new LogFile({
    path,
    log,
    onLost: lines => {
      loss.lines += lines
    },
  })
  return { file, told, loss }
}

test('lines are appended in order, and what was there stays', async () => {
  const path = join(folder, 'plain')
  for (const part of ['a', 'b']) {
    const { file } = openFile(path)
    for (let index = 0; index < 500; index += 1) file.append(`${part}${index}`)
    await file.close()
  }
  const lines = (await readFile(path, 'utf8')).split('\n')
  assert.equal(lines.pop(), '')
  assert.deepEqual(
    lines,
    ['a', 'b'].flatMap(part => Array.from({ length: 500 }, (_, index) => `${part}${index}`)),
  )
})

test('after a rename and a reopening a new file of the name goes on', async () => {
  const path = join(folder, 'rotated')
  const { file } = openFile(path)
  file.append('one')
  await eventually(async () => assert.equal(await readFile(path, 'utf8'), 'one\n'))
  await rename(path, `${path}.1`)
  file.append('two')
  await eventually(async () => assert.equal(await readFile(`${path}.1`, 'utf8'), 'one\ntwo\n'))
  file.reopen()
  file.append('three')
  await file.close()
  assert.equal(await readFile(`${path}.1`, 'utf8'), 'one\ntwo\n')
  assert.equal(await readFile(path, 'utf8'), 'three\n')
})

test('a full disk costs lines, is said once, and nothing is thrown', async () => {
  const { file, told, loss } = openFile('/dev/full')
  for (let round = 0; round < 5; round += 1) {
    file.append(`line ${round}`)
    await file.close()
  }
  assert.equal(loss.lines, 5)
  assert.deepEqual(
    told.map(({ level, msg }) => [level, msg]),
    [['error', 'cannot write records of packets to the file; nothing else waits for it']],
  )
  assert.match(file.problem!, /ENOSPC/)
})

test('memory is bounded while nothing can be written', async () => {
  const { file, loss } = openFile(join(folder, 'missing', 'file'))
  const line = 'x'.repeat(1000)
  for (let count = 0; count < 3000; count += 1) file.append(line)
  await file.close()
  assert.equal(loss.lines, 3000)
})
