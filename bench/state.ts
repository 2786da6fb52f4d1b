/** A state of the size the daemon is built for: groups full of rules, and ENIs in two of them each. */
import { type EniDoc, type GroupDoc, keyOf, type RuleDoc } from '../daemon/model/documents.ts'
import type { Write } from '../daemon/store/store.ts'

export const stateSize = { groups: 1000, rulesOfGroup: 100, enis: 50_000 }

const accountId = '1000000000000000'
const createdAtMs = Date.UTC(2026, 0, 1)
const idOf = (prefix: string, number: number) => `${prefix}-${number.toString(36).padStart(20, '0')}`

export function* makeState({ groups, rulesOfGroup, enis } = stateSize): Generator<Write> {
  for (let number = 0; number < groups; number += 1) {
    const doc = makeGroup(number, rulesOfGroup)
    yield { key: keyOf('group', doc.id), value: doc }
  }
  for (let number = 0; number < enis; number += 1) {
    const doc = makeEni(number, groups)
    yield { key: keyOf('eni', doc.id), value: doc }
  }
}

export function makeGroup(number: number, ruleCount: number): GroupDoc {
  return {
    id: idOf('sg', number),
    accountId,
    name: `service-${number}`,
    description: null,
    tags: { team: `team-${number % 40}`, stage: 'production' },
    type: 'basic',
    networkType: 'vpc',
    vpcId: 'vpc-1',
    innerAccessPolicy: 'accept',
    isDefault: false,
    rules: Array.from({ length: ruleCount }, (_, index) => makeRule(number, index)),
    createdAtMs,
  }
}

function makeRule(group: number, index: number): RuleDoc {
  return {
    id: idOf('sgr', group * 1000 + index),
    direction: 'ingress',
    policy: index % 10 === 0 ? 'drop' : 'accept',
    priority: 1 + (index % 100),
    ipProtocol: index % 3 === 0 ? 'udp' : 'tcp',
    portRange: `${1000 + index}/${1000 + index}`,
    nicType: 'intranet',
    ...(index % 4 === 0
      ? { sourceGroupId: idOf('sg', (group + index) % 1000) }
      : { sourceCidrIp: `10.${index}.${group & 0xff}.0/24` }),
    description: 'requests of the shop',
    createdAtMs,
  }
}

function makeEni(number: number, groups: number): EniDoc {
  const hex = number.toString(16).padStart(6, '0')
  return {
    id: idOf('eni', number),
    accountId,
    instanceId: idOf('i', number),
    type: 'Primary',
    description: null,
    tags: {},
    networkType: 'vpc',
    vpcId: 'vpc-1',
    macAddress: `02:00:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`,
    device: null,
    placement: 'host',
    addresses: [`198.18.${number >> 8}.${number & 0xff}`, `2001:db8::${number.toString(16)}`],
    securityGroupIds: [idOf('sg', number % groups), idOf('sg', (number * 7 + 1) % groups)],
    nicType: 'intranet',
    createdAtMs,
  }
}
