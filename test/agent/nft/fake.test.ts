import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NftError } from '../../../agent/nft/errors.ts'
import { createFakeNft } from '../../../agent/nft/fake.ts'
import type { Generation } from '../../../agent/watch/nft-monitor.ts'
import { testNft } from './nft.shared.ts'

testNft('the fake', async () => ({ nft: createFakeNft(), [Symbol.asyncDispose]: async () => {} }))

const addTable = { add: { table: { family: 'inet', name: 't' } } }

test('refuses what it is told to refuse, once each, and changes nothing', async () => {
  const nft = createFakeNft()
  nft.refuseNext(new NftError('busy', 'a test', 'Error: busy'))
  await assert.rejects(nft.apply([addTable]), { kind: 'busy' })
  assert.equal(await nft.list('inet', 't'), null)
  await nft.apply([addTable])
  assert.notEqual(await nft.list('inet', 't'), null)
  assert.deepEqual(nft.transactions, [[addTable]])
})

test('tells of generations with their maker', async () => {
  const generations: Generation[] = []
  const nft = createFakeNft({ onGeneration: generation => generations.push(generation) })
  await nft.apply([addTable])
  await nft.applyAsOther([{ delete: { table: { family: 'inet', name: 't' } } }])
  assert.deepEqual(
    generations.map(({ generation, pid }) => [generation, nft.isOwnPid(pid)]),
    [
      [2, true],
      [3, false],
    ],
  )
})

test('keeps the policy of a timeout object given as JSON where the nft it stands for does', async () => {
  const nft = createFakeNft({ keepsCtTimeoutPolicy: true })
  const policy = { established: 910 }
  const timeout = { family: 'inet', table: 't', name: 'to', protocol: 'tcp', l3proto: 'ip', policy }
  await nft.apply([addTable, { add: { 'ct timeout': timeout } }])
  assert.deepEqual((await nft.list('inet', 't'))?.at(-1), { 'ct timeout': { ...timeout, handle: 1 } })
})

test('a listing is a copy: changing it changes nothing', async () => {
  const nft = createFakeNft()
  await nft.apply([addTable])
  const [listed] = (await nft.list('inet', 't')) ?? []
  Object.assign(listed!.table as object, { name: 'changed' })
  assert.deepEqual((await nft.list('inet', 't'))?.[0], { table: { family: 'inet', name: 't', handle: 1 } })
})
