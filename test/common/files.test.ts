import assert from 'node:assert/strict'
import { chmod, chown, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeFolder, writeAtomically } from '../../common/files.ts'

const notRoot = process.getuid?.() === 0 ? false : 'needs root'

test('a file is for its owner alone, whatever a killed writer has left', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-files-'))
  try {
    const path = join(folder, 'secret')
    await writeFile(path, 'old')
    await writeFile(`${path}.new`, 'half of wh')
    for (const each of [path, `${path}.new`]) await chmod(each, 0o644)
    await writeAtomically(path, 'new')
    assert.equal(await readFile(path, 'utf8'), 'new')
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(folder), ['secret'])
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a folder is made with those above it, and where none can be made that is said', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-files-'))
  try {
    const path = join(folder, 'a', 'b')
    await Promise.all([makeFolder(path), makeFolder(path)])
    assert.equal((await stat(path)).mode & 0o777, 0o700)
    await makeFolder(path)
    await writeFile(join(folder, 'file'), '')
    await assert.rejects(makeFolder(join(folder, 'file')), /Cannot make folder ".*file": EEXIST/)
    await assert.rejects(makeFolder('/proc/ringwall/state'), /Cannot make folder "\/proc\/ringwall": ENOENT/)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('what root writes for a service belongs to the user of the folder', { skip: notRoot }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-files-'))
  try {
    await chown(folder, 12_345, 12_346)
    await writeAtomically(join(folder, 'file'), 'text')
    await makeFolder(join(folder, 'a', 'b'))
    for (const name of ['file', 'a', 'a/b']) {
      const { uid, gid } = await stat(join(folder, name))
      assert.deepEqual([uid, gid], [12_345, 12_346], name)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
})
