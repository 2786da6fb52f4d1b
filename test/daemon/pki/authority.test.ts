/** The CA in states that were restored: of which times it has forgotten what it signed. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { describe, test } from 'node:test'
import type { AuthorityDoc } from '../../../daemon/model/documents.ts'
import { type Authority, openAuthority } from '../../../daemon/pki/authority.ts'
import { makeKeyPair } from '../../support/fake-agent.ts'
import { MemoryStore } from '../../support/memory-store.ts'

const dayMs = 24 * 3600 * 1000
const beginMs = Date.parse('2026-01-01T00:00:00Z')
const at = (day: number) => beginMs + day * dayMs
const key = 'authority/agents'

/** Another store with the same state, last written on one day and put in place of the first on another. */
async function restored(state: MemoryStore, lastDay: number, openedDay: number) {
  const store = new MemoryStore({ listing: await state.list(''), now: () => at(lastDay) })
  await store.commit({ writes: [{ key: 'account/1', value: {} }] })
  const authority = await openAuthority(store, at(openedDay))
  const { lostTimes } = (await store.get(key))!.value as AuthorityDoc
  return { store, authority, lostDays: lostTimes?.map(({ fromMs, untilMs }) => [fromMs, untilMs].map(dayOf)) }
}

const dayOf = (ms: number) => (ms - beginMs) / dayMs

async function forgottenOf(authority: Authority, days: readonly number[]): Promise<readonly number[]> {
  const found: number[] = []
  for (const day of days) {
    const spki = Buffer.from(makeKeyPair().publicKey, 'base64url')
    const { certificate } = await authority.issueAgentCertificate('agent-1', spki, 7 * dayMs, at(day))
    if (authority.hasForgotten(new X509Certificate(certificate))) found.push(day)
  }
  return found
}

describe('what a restored CA has forgotten', () => {
  test('is of every time that was lost, as long as it is good for anything', async () => {
    const first = new MemoryStore({ now: () => at(0) })
    assert.deepEqual(await forgottenOf(await openAuthority(first, at(0)), [0, 1]), [])
    const second = await restored(first, 1, 3)
    assert.deepEqual(second.lostDays, [[1, 3]])
    const third = await restored(second.store, 4, 6)
    assert.deepEqual(third.lostDays, [
      [1, 3],
      [4, 6],
    ])
    assert.deepEqual(await forgottenOf(third.authority, [0.5, 2, 3.5, 5, 7]), [2, 5])
    // Opened again where it is, it has lost nothing.
    await openAuthority(third.store, at(9))
    assert.deepEqual(((await third.store.get(key))!.value as AuthorityDoc).lostTimes?.length, 2)
    const later = await restored(third.store, 734, 735)
    assert.deepEqual(later.lostDays, [
      [4, 6],
      [734, 735],
    ])
  })

  test('is of a time that was written when there could be one alone, too', async () => {
    const first = new MemoryStore({ now: () => at(0) })
    await openAuthority(first, at(0))
    const doc = (await first.get(key))!.value as AuthorityDoc
    const lost = { fromMs: at(1), untilMs: at(3) }
    await first.commit({ writes: [{ key, value: { ...doc, lost } }] })
    assert.deepEqual(await forgottenOf(await openAuthority(first, at(3)), [2, 5]), [2])
    const second = await restored(first, 4, 6)
    assert.deepEqual(second.lostDays, [
      [1, 3],
      [4, 6],
    ])
    assert.deepEqual(((await second.store.get(key))!.value as AuthorityDoc).lost, undefined)
  })
})
