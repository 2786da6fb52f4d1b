import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Bindings, bindDevices, deviceIndexes, readBindings } from '../../../agent/reconcile/devices.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import { makeEni, makeIr } from '../../support/ir.ts'
import { asActual } from '../../support/transactions.ts'

const one = makeEni([], { id: 'eni-1', device: 'eth0' })
const two = makeEni([], { id: 'eni-2', device: 'eth1' })
const ir = { ...makeIr(one), enis: [one, two] }

/** `2 eth0, 3 eth1`: index and name of each device. */
const devicesOf = (text: string) =>
  text
    .split(', ')
    .filter(each => each !== '')
    .map(each => ({ index: Number.parseInt(each, 10), name: each.split(' ')[1]! }))

/** Devices as they are one after the other, and which index each ENI has at the end. */
const rows: { name: string; seen: string[]; expected: Record<string, number> }[] = [
  { name: 'each its own', seen: ['1 lo, 2 eth0, 3 eth1'], expected: { 'eni-1': 2, 'eni-2': 3 } },
  { name: 'one that is not there', seen: ['2 eth0'], expected: { 'eni-1': 2 } },
  { name: 'a renamed one stays', seen: ['2 eth0, 3 eth1', '2 wan, 3 eth1'], expected: { 'eni-1': 2, 'eni-2': 3 } },
  { name: 'renamed twice', seen: ['2 eth0', '2 wan', '2 lan'], expected: { 'eni-1': 2 } },
  { name: 'vanished', seen: ['2 eth0, 3 eth1', '3 eth1'], expected: { 'eni-2': 3 } },
  { name: 'vanished and come back', seen: ['2 eth0', '', '5 eth0'], expected: { 'eni-1': 5 } },
  { name: 'renamed and vanished', seen: ['2 eth0', '2 wan', '3 eth1'], expected: { 'eni-2': 3 } },
  {
    name: 'a new device under the name of the renamed one',
    seen: ['2 eth0', '2 wan', '2 wan, 5 eth0'],
    expected: { 'eni-1': 5 },
  },
  { name: 'two that change names', seen: ['2 eth0, 3 eth1', '2 eth1, 3 eth0'], expected: { 'eni-1': 3, 'eni-2': 2 } },
  { name: "renamed to another ENI's device", seen: ['2 eth0', '2 eth1'], expected: { 'eni-2': 2 } },
  { name: 'never seen under its name', seen: ['2 wan'], expected: {} },
]

describe('the device of an ENI:', () => {
  for (const { name, seen, expected } of rows) {
    test(name, () => {
      const bindings = seen.reduce<Bindings>((previous, text) => bindDevices(ir, devicesOf(text), previous), new Map())
      assert.deepEqual(Object.fromEntries(deviceIndexes(bindings)), expected)
    })
  }

  test('is let go when the policy names another', () => {
    const before = bindDevices(ir, devicesOf('2 eth0'), new Map())
    const other = { ...ir, enis: [{ ...one, device: 'eth7' }] }
    assert.deepEqual(bindDevices(other, devicesOf('2 eth0'), before), new Map())
  })

  test('is not another that got the index of one removed', () => {
    const before = bindDevices(ir, devicesOf('2 eth0, 3 eth1'), new Map())
    const after = bindDevices(ir, devicesOf('2 other, 3 wan'), before, new Set([2]))
    assert.deepEqual(Object.fromEntries(deviceIndexes(after)), { 'eni-2': 3 })
    const returned = bindDevices(ir, devicesOf('2 eth0, 3 eth1'), before, new Set([2]))
    assert.deepEqual(returned, before)
  })

  test("is not one that has got the name of an ENI without groups' device", () => {
    const before = bindDevices(ir, devicesOf('2 eth0'), new Map())
    assert.deepEqual(bindDevices(ir, devicesOf('2 eth9'), before), new Map())
  })

  const standing = new Map([['eni-1', { index: 2, device: 'eth0' }]])

  test('after a restart is read from the table', () => {
    assert.deepEqual(readBindings(asActual(compile(ir, { deviceIndexes: deviceIndexes(standing) }))), standing)
  })

  test('a renamed one is found after a restart too', () => {
    const read = readBindings(asActual(compile(ir, { deviceIndexes: deviceIndexes(standing) })))
    assert.deepEqual(bindDevices(ir, devicesOf('2 wan'), read), standing)
  })

  test('is none where there is no table of ours', () => {
    assert.deepEqual(readBindings(asActual({ ...compile(ir), verdictMaps: new Map() })), new Map())
  })
})
