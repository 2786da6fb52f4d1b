import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readToAgent } from '../../../agent/link/read-message.ts'
import type { ToAgent } from '../../../wire/messages.ts'
import type { ViewObject } from '../../../wire/view.ts'
import { eniObject, groupObject, membersObject, smallView } from '../../support/view-objects.ts'

const at = { storeId: 's', revision: 7 }
const limits = smallView().flatMap(object => (object.kind === 'settings' ? [object.value.limits] : []))[0]!
const scrubbed: readonly ViewObject[] = [
  {
    kind: 'settings',
    id: 'fleet',
    value: {
      sessionTimeout: 910,
      revocation: 'immediate',
      limits,
      trafficScope: 'all',
      scrubbing: {
        secondsOver: 2,
        holdTime: 30,
        blackHoleThreshold: 0,
        blackHoleHoldTime: 600,
        mostBlackHoleHoldTime: 3600,
        allowList: ['203.0.113.0/24'],
      },
    },
  },
  {
    kind: 'instance',
    id: 'i-1',
    value: {
      id: 'i-1',
      smtpUnblocked: false,
      ddosThreshold: { bps: 100, pps: 20_000, source: 'auto' },
      scrubbingCancelled: true,
      ddosOrder: { id: 'o-1', action: 'black-hole', holdSeconds: null },
    },
  },
]
const observed: readonly ViewObject[] = [
  {
    kind: 'settings',
    id: 'fleet',
    value: {
      sessionTimeout: 910,
      revocation: 'immediate',
      limits,
      logging: { drops: false, sessions: true, perSecond: 7, nflogGroup: 5 },
    },
  },
  eniObject('eni-1', { mode: 'observe' }),
  groupObject('sg-1', [], { mode: 'observe' }),
]
const good: readonly ToAgent[] = [
  { type: 'snapshot', ...at, objects: [...smallView(), membersObject('sg-2', ['198.18.0.1'], { vpcId: 'vpc-1' })] },
  { type: 'delta', ...at, set: [], remove: ['eni/eni-1'], members: [{ id: 'sg-1', add: ['198.18.0.1'], remove: [] }] },
  { type: 'delta', ...at, set: scrubbed, remove: [], members: [] },
  { type: 'delta', ...at, set: observed, remove: [], members: [] },
  { type: 'ddos-event-kept', eventId: 'ddos-1', version: 3 },
  { type: 'ddos-watch', instanceIds: ['i-1'] },
  { type: 'renewed', certificate: 'PEM' },
  { type: 'confirm', revision: 7 },
  { type: 'goodbye', code: 'stopping', message: 'see you' },
]

describe('a message from the daemon', () => {
  for (const message of good) {
    test(`of type ${message.type} is read as it is`, () => {
      assert.deepEqual(readToAgent(JSON.stringify(message)), { value: message })
    })
  }

  test('may have fields that are not known, which are left out', () => {
    const later = {
      type: 'snapshot',
      ...at,
      traceId: 'x',
      objects: [{ kind: 'instance', id: 'i-1', shade: 'blue', value: { id: 'i-1', smtpUnblocked: true, zone: 7 } }],
    }
    const objects = [{ kind: 'instance', id: 'i-1', value: { id: 'i-1', smtpUnblocked: true } }]
    assert.deepEqual(readToAgent(JSON.stringify(later)), { value: { type: 'snapshot', ...at, objects } })
  })

  test('keeps a field of a rule that is not known: the checks refuse it, because it may narrow the rule', () => {
    const [, , , group] = smallView()
    const objects = [{ ...group, value: { ...group!.value, rules: [{ direction: 'ingress', unheardOf: 1 }] } }]
    const read = readToAgent(JSON.stringify({ type: 'snapshot', ...at, objects }))
    assert.deepEqual(read, { value: { type: 'snapshot', ...at, objects } })
  })

  const bad: readonly { name: string; json: string; says: string }[] = [
    { name: 'no JSON', json: '{"type":', says: 'Cannot read it: expected JSON' },
    { name: 'a list', json: '[]', says: 'Cannot read it: expected an object' },
    { name: 'null', json: 'null', says: 'Cannot read it: expected an object' },
    {
      name: 'no type',
      json: '{}',
      says: 'Cannot read "type": expected "snapshot" or "delta" or "ddos-event-kept" or "ddos-watch" or "renewed" or "confirm" or "goodbye"',
    },
    {
      name: 'a type of its own',
      json: '{"type":"toString"}',
      says: 'Cannot read "type": expected "snapshot" or "delta" or "ddos-event-kept" or "ddos-watch" or "renewed" or "confirm" or "goodbye"',
    },
    {
      name: 'no revision',
      json: '{"type":"delta","storeId":"s","set":[],"remove":[],"members":[]}',
      says: 'Cannot read "revision": expected a whole number, 0 or more',
    },
    {
      name: 'a revision that is not exact',
      json: '{"type":"snapshot","storeId":"s","revision":1e300,"objects":[]}',
      says: 'Cannot read "revision": expected a whole number, 0 or more',
    },
    {
      name: 'an object of no kind',
      json: '{"type":"snapshot","storeId":"s","revision":1,"objects":[{"kind":"__proto__","id":"x","value":{}}]}',
      says: 'Cannot read "objects[0].kind": expected "settings" or "instance" or "eni" or "group" or "members" or "prefixList"',
    },
    {
      name: 'a member that is no text',
      json: '{"type":"delta","storeId":"s","revision":1,"set":[],"remove":[],"members":[{"id":"sg-1","add":["198.18.0.1",5],"remove":[]}]}',
      says: 'Cannot read "members[0].add[1]": expected text',
    },
    {
      name: 'a rule with a list in it',
      json: '{"type":"snapshot","storeId":"s","revision":1,"objects":[{"kind":"group","id":"sg-1","value":{"id":"sg-1","type":"basic","networkType":"vpc","ownerAccount":"1","innerAccessPolicy":"drop","rules":[{"direction":[]}]}}]}',
      says: 'Cannot read "objects[0].value.rules[0].direction": expected text or a number',
    },
    {
      name: 'an object that is called two things',
      json: '{"type":"snapshot","storeId":"s","revision":1,"objects":[{"kind":"instance","id":"i-1","value":{"id":"i-2","smtpUnblocked":false}}]}',
      says: 'Cannot read "objects[0]": expected the id "i-1" in the value too',
    },
  ]
  for (const { name, json, says } of bad) {
    test(`that is ${name} is refused`, () => assert.deepEqual(readToAgent(json), { fault: says }))
  }

  test('of any shape is read or refused, never thrown at', () => {
    const mixed = fc.oneof(
      fc.json(),
      fc.string(),
      fc
        .jsonValue()
        .chain(value =>
          fc.constantFrom(...good).map(message => JSON.stringify({ ...message, [Object.keys(message)[1]!]: value })),
        ),
    )
    fc.assert(
      fc.property(mixed, text => Object.keys(readToAgent(text)).length === 1),
      { numRuns: 500 },
    )
  })
})
