import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { openStateDir } from '../../agent/state-dir.ts'

describe('the state directory', () => {
  let folder = ''
  beforeEach(() => {
    folder = join(mkdtempSync(join(tmpdir(), 'ringwall-state-')), 'state')
  })
  afterEach(() => rmSync(join(folder, '..'), { recursive: true }))
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')

  test('keeps both texts, for root alone, and nothing else', async () => {
    const stateDir = openStateDir(folder)
    await stateDir.write('policy', 'ruleset')
    await stateDir.write('policy 2', 'ruleset 2')
    assert.deepEqual(readdirSync(folder).sort(), ['policy.last-good', 'ruleset.nft'])
    assert.deepEqual([read('policy.last-good'), read('ruleset.nft')], ['policy 2', 'ruleset 2'])
    assert.equal(await stateDir.readPolicyText(), 'policy 2')
    const modes = ['.', 'policy.last-good', 'ruleset.nft'].map(name => statSync(join(folder, name)).mode & 0o777)
    assert.deepEqual(modes, [0o700, 0o600, 0o600])
  })

  test('without a policy has none', async () => {
    assert.equal(await openStateDir(folder).readPolicyText(), null)
    mkdirSync(join(folder, 'policy.last-good'), { recursive: true })
    assert.equal(await openStateDir(folder).readPolicyText(), null)
  })

  test('takes texts written at once one after the other, the last one last', async () => {
    const stateDir = openStateDir(folder)
    const texts = Array.from({ length: 20 }, (_, index) => String(index).repeat(50_000 - index * 2000))
    await Promise.all(texts.map(text => stateDir.write(text, text)))
    assert.equal(read('policy.last-good'), texts.at(-1))
    assert.equal(read('ruleset.nft'), texts.at(-1))
  })

  test('is not led astray by a file that a killed process left half written', async () => {
    const stateDir = openStateDir(folder)
    await stateDir.write('good', 'good')
    writeFileSync(join(folder, 'policy.last-good.new'), 'half a pol')
    assert.equal(await openStateDir(folder).readPolicyText(), 'good')
    await stateDir.write('better', 'better')
    assert.equal(await stateDir.readPolicyText(), 'better')
  })

  test('that cannot be written says so, keeps what it had, and can be written later', async () => {
    const stateDir = openStateDir(folder)
    await stateDir.write('good', 'good')
    mkdirSync(join(folder, 'ruleset.nft.new'))
    await assert.rejects(stateDir.write('next', 'next'), { code: /EISDIR/ })
    assert.deepEqual([read('policy.last-good'), read('ruleset.nft')], ['good', 'good'])
    rmSync(join(folder, 'ruleset.nft.new'), { recursive: true })
    await stateDir.write('next', 'next')
    assert.equal(read('policy.last-good'), 'next')
  })

  test('on a path that is a file is refused', async () => {
    writeFileSync(folder, '')
    await assert.rejects(openStateDir(folder).write('a', 'b'), { code: 'EEXIST' })
  })
})
