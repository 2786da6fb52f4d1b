/**
 * A daemon that is not ours any more: whatever stands in whichever place of a view, either no policy is made of it, or
 * what nft is given says nothing that the view's author wrote, but in the places where names, numbers and addresses are.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readToAgent } from '../../../agent/link/read-message.ts'
import { type Surroundings, View } from '../../../agent/link/view.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import { printRuleset } from '../../../rules-compiler/nft/print.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import { compileScrub } from '../../../rules-compiler/scrub/compile.ts'
import { scrubTransaction } from '../../../rules-compiler/scrub/transaction.ts'
import type { ViewObject } from '../../../wire/view.ts'
import { makeCleaning } from '../../support/scrub-table.ts'
import {
  acceptPort,
  eniObject,
  groupObject,
  instanceObject,
  membersObject,
  settingsObject,
} from '../../support/view-objects.ts'

const full: readonly ViewObject[] = [
  settingsObject({
    trafficScope: 'internet',
    scrubbing: {
      secondsOver: 2,
      holdTime: 300,
      blackHoleThreshold: 3,
      blackHoleHoldTime: 60,
      mostBlackHoleHoldTime: 600,
      allowList: ['203.0.113.0/24'],
    },
    logging: { drops: true, sessions: true, perSecond: 10, nflogGroup: 5 },
  }),
  instanceObject('i-1', {
    instanceType: 'ecs.g5.large',
    ddosThreshold: { bps: 500, pps: 100_000, source: 'manual' },
    scrubbingCancelled: false,
    ddosOrder: { id: 'order-1', action: 'black-hole', holdSeconds: 60 },
  }),
  eniObject('eni-1', { macAddress: '02:00:00:00:00:01', device: 'eth0', mode: 'enforce' }),
  groupObject(
    'sg-1',
    [
      { ...acceptPort(443), id: 'sgr-1' },
      {
        id: 'sgr-2',
        direction: 'ingress',
        policy: 'drop',
        priority: 2,
        ipProtocol: 'udp',
        portRange: '53/53',
        sourceGroupId: 'sg-app',
        nicType: 'intranet',
      },
      {
        id: 'sgr-3',
        direction: 'egress',
        policy: 'accept',
        priority: 3,
        ipProtocol: 'all',
        portRange: '-1/-1',
        destPrefixListId: 'pl-1',
      },
      {
        id: 'sgr-4',
        direction: 'ingress',
        policy: 'accept',
        priority: 4,
        ipProtocol: 'tcp',
        portRange: '22/22',
        ipv6SourceCidrIp: '2001:db8::/32',
        sourcePortRange: '1024/65535',
      },
    ],
    { mode: 'enforce', vpcId: 'vpc-1' },
  ),
  membersObject('sg-app', ['198.18.0.9', '2001:db8::9'], { vpcId: 'vpc-1' }),
  { kind: 'prefixList', id: 'pl-1', value: { id: 'pl-1', entries: ['198.18.1.0/24'] } },
]

const surroundings: Surroundings = { devices: new Map([['eni-1', 'eth0']]), controlConnections: [], rescue: [] }

/** All that nft would be given: at boot, and as transactions. @returns null where no policy is made of it */
function whatNftIsGiven(json: string): string | null {
  const read = readToAgent(json)
  if ('fault' in read || read.value.type !== 'snapshot') return null
  const view = new View()
  if (view.apply(read.value) !== null) return null
  const { ir } = view.makePolicy(surroundings)
  return ir === null ? null : textOf(ir)
}

function textOf(ir: PolicyIr): string {
  const defences = new Map([['i-1', makeCleaning()]])
  const scrub = compileScrub({ ir: ir.scrub, devices: new Set(['eth0']), defences })
  return `${printRuleset(compile(ir))}\n${JSON.stringify(scrubTransaction(null, scrub))}`
}

interface Place {
  readonly name: string
  readonly value: unknown
  /** The message with something else there. */
  readonly with: (value: unknown) => string
}

/** Every text and number of the message. */
function placesOf(objects: readonly ViewObject[]): readonly Place[] {
  const message = { type: 'snapshot', storeId: 's', revision: 1, objects }
  const places: Place[] = []
  const walk = (value: unknown, path: readonly string[]) => {
    if (typeof value === 'object' && value !== null) {
      for (const [key, below] of Object.entries(value)) walk(below, [...path, key])
      return
    }
    places.push({
      name: path.join('.'),
      value,
      with(other) {
        const copy = structuredClone(message) as unknown as Record<string, Record<string, unknown>>
        const holder = path.slice(0, -1).reduce((from, key) => from[key] as typeof copy, copy)
        holder[path.at(-1)!] = other as Record<string, unknown>
        return JSON.stringify(copy)
      },
    })
  }
  walk(message, [])
  return places
}

const texts = [
  'pwned"; flush ruleset; #',
  'pwned\nflush ruleset\n',
  '}\nadd table inet pwned {',
  'pwned; flush ruleset',
  '$pwned',
  '@pwned',
  '{ pwned }',
  'pwned*',
  'pwned\\',
  "'pwned'",
  '../../pwned',
  '-f pwned',
  'include "/etc/pwned"',
  '`touch pwned`',
  'pwned\u0000',
  'pwned\u202e',
  '\ud800pwned',
  'pwned/32',
  '0.0.0.0/0, pwned',
  `pwned${'x'.repeat(100_000)}`,
  '__proto__',
  'constructor',
  'toString',
  '',
]
const numbers = [-1, 0.5, 2 ** 53, 1e308, -1e308, 5e-324, '1; flush ruleset', '0x10', '١']
const others: readonly unknown[] = [null, true, [], {}, [['pwned']], { toString: 'pwned' }]

const suspect = /pwned|flush ruleset|\.\.\/|undefined|NaN|Infinity|[0-9]e\+|\[object/

describe('of a view with something hostile in it', () => {
  const places = placesOf(full)
  const ours = whatNftIsGiven(places[0]!.with('snapshot'))!

  test('the view itself makes a policy with all that it says', () => {
    for (const word of ['eth0', 'sgr-4', '203.0.113.0', '198.18.1.0', '2001:db8::9'])
      assert.ok(ours.includes(word), word)
    assert.ok(places.length > 80, `${places.length} places`)
  })

  for (const place of places) {
    test(`at ${place.name}, nothing of it is a statement`, () => {
      for (const hostile of [...texts, ...numbers, ...others]) {
        const given = whatNftIsGiven(place.with(hostile))
        if (given === null) continue
        const said = `${JSON.stringify(hostile)?.slice(0, 60)} is taken`
        assert.match(given, /^[\n\t\x20-\x7e]*$/, said)
        // A name may stand in quotes, as comments do.
        const [statement] = suspect.exec(given.replaceAll(/"[^"\n]*"/g, '""')) ?? []
        assert.equal(statement, undefined, said)
      }
    })
  }
})
