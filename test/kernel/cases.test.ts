/** Every row of test/cases as a real packet through what `ringwall apply` loads for its policy. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { parse } from 'yaml'
import type { Direction } from '../../rules-compiler/model/policy.ts'
import { type Case, type Expectation, loadCases } from '../support/cases.ts'
import { type Forwarder, makeForwarder } from '../support/forwarder.ts'
import { injectionOf, isForwarded, sideOf } from '../support/injections.ts'
import { loadProbe, readReceived } from '../support/probe.ts'
import { needsKernel } from '../support/requirements.ts'
import { applyPolicy } from '../support/ringwall.ts'

type EniFacts = Case['policy']['interfaces'][number]

const directions: readonly Direction[] = ['ingress', 'egress']

let forwarder: Forwarder
let lastIndex = 0

before(async () => {
  if (needsKernel !== false) return
  forwarder = await makeForwarder()
  await loadProbe(forwarder.host)
})

after(async () => {
  if (needsKernel === false) await forwarder[Symbol.asyncDispose]()
})

for (const current of loadCases()) {
  for (const eni of current.policy.interfaces) {
    const rows = current.expectations.filter(({ packet }) => packet.eniId === eni.id)
    for (const row of rows) {
      const reason = whyNotSendable(row, eni)
      if (reason !== null) test(`${current.name}: ${row.name}`, { skip: reason }, () => {})
    }
    const sendable = rows.filter(row => whyNotSendable(row, eni) === null)
    if (sendable.length === 0) continue
    test(`${current.name}, ${eni.id}`, { skip: needsKernel }, async () => {
      // Over the policy of the case before: what was in force once must leave no trace.
      await applyPolicy(forwarder.host, withDevice(current, eni))
      for (const direction of directions) {
        const asked = sendable.filter(({ packet }) => packet.direction === direction)
        const found = await judge(asked, eni)
        const { isObserved } = current.ir.enis.find(({ id }) => id === eni.id) ?? { isObserved: false }
        const expected = asked.map(({ name, verdict }) => [name, isObserved ? 'accept' : verdict])
        assert.deepEqual(found, Object.fromEntries(expected))
      }
    })
  }
}

/** The policy with the ENI on the forwarder's device; those of other ENIs do not exist here. */
function withDevice({ policyText }: Case, eni: EniFacts): unknown {
  const document = parse(policyText)
  const interfaces = document.interfaces.map((facts: EniFacts) => ({
    ...facts,
    device: facts.id === eni.id ? 'd0' : `${facts.device.slice(0, 8)}-absent`,
  }))
  return { ...document, interfaces }
}

/** What comes in from d0 has only to pass its chain; what goes out of it must be forwarded there. */
function whyNotSendable({ packet }: Expectation, { placement }: EniFacts): string | null {
  if (sideOf(packet.direction, placement) === 'left') return null
  if (!isForwarded(packet)) return 'a router forwards no such addresses'
  return packet.hopLimit === 255 ? 'no router forwards a hop limit of 255 as it is' : null
}

async function judge(rows: readonly Expectation[], { placement }: EniFacts): Promise<Readonly<Record<string, string>>> {
  const indexed = rows.map(row => {
    lastIndex += 1
    return { row, index: lastIndex }
  })
  const forwarded = await forwarder.sendAnew(indexed.map(({ row, index }) => injectionOf(row.packet, placement, index)))
  const received = await readReceived(forwarder.host)
  const passed = (index: number) => forwarded.has(index) || received.has(index)
  return Object.fromEntries(indexed.map(({ row, index }) => [row.name, passed(index) ? 'accept' : 'drop']))
}
