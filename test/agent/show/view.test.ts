import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeView } from '../../../agent/show/view.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import { hookChain } from '../../../rules-compiler/nft/names.ts'
import { makeEni, makeIr, makeRule } from '../../support/ir.ts'
import { asActual } from '../../support/transactions.ts'

const web = makeRule({ id: 'web', protocol: 'tcp', ports: 443 })
const one = makeEni([web])
const two = makeEni([web], { id: 'eni-2', device: 'eth1' })
const policy = { ...makeIr(one), enis: [one, two] }
const ruleset = compile(policy)
const [webSet] = [...ruleset.intervalSets.values()].filter(set =>
  set.elements.some(element => element.ruleId === 'web'),
)

describe('the view', () => {
  const view = makeView(
    policy,
    asActual(ruleset, {
      ruleHits: [{ place: webSet!.name, ruleId: 'web', packets: 5, bytes: 300 }],
      counterHits: new Map([['eni-2/ingress/default', { packets: 2, bytes: 120 }]]),
    }),
  )

  test('says of ENIs whose rules are alike that they count together', () => {
    assert.deepEqual(
      view.enis.map(eni => eni.directions.map(({ direction, sharedWith }) => [direction, sharedWith])),
      [
        [
          ['ingress', ['eni-2']],
          ['egress', []],
        ],
        [
          ['ingress', ['eni-1']],
          ['egress', []],
        ],
      ],
    )
  })

  test('counts what a rule has decided, and what was decided without one', () => {
    const [, second] = view.enis
    assert.deepEqual(second!.directions[0]!.layers, [
      {
        verdict: 'accept',
        rules: [
          {
            id: 'web',
            groupId: 'sg-1',
            verdict: 'accept',
            priority: 1,
            text: 'accept tcp 443 from 0.0.0.0/0, priority 1',
            packets: 5,
            bytes: 300,
          },
        ],
      },
    ])
    assert.deepEqual(second!.directions[0]!.reasons, { default: { packets: 2, bytes: 120 } })
  })

  test('tells an ENI that the kernel knows from one it does not', () => {
    const chains = new Map([...ruleset.chains].filter(([name]) => name !== hookChain('eni-2', 'prerouting')))
    const partly = makeView(policy, asActual({ ...ruleset, chains }))
    assert.deepEqual(
      partly.enis.map(({ id, inForce }) => [id, inForce]),
      [
        ['eni-1', true],
        ['eni-2', false],
      ],
    )
  })

  test('names ENIs without groups, and the groups rules look into', () => {
    const grouped = makeIr(makeEni([{ ...web, peer: { kind: 'group', groupId: 'sg-app' } }]), {
      'sg-app': { ip: ['198.18.0.9'], ip6: ['2001:db8::9', '2001:db8::a'] },
    })
    const { unattachedEnis, groups, sessionTimeoutSeconds } = makeView(grouped, null)
    assert.deepEqual(unattachedEnis, [{ id: 'eni-bare', device: 'eth9' }])
    assert.deepEqual(groups, [{ id: 'sg-app', ip: 1, ip6: 2 }])
    assert.equal(sessionTimeoutSeconds, 910)
  })
})
