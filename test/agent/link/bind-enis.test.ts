import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bindEnis } from '../../../agent/link/bind-enis.ts'
import type { Link } from '../../../agent/watch/links.ts'
import type { ViewEni } from '../../../wire/view.ts'
import { eniObject } from '../../support/view-objects.ts'

const a = '02:00:00:00:00:0a'
const b = '02:00:00:00:00:0b'
const none = '00:00:00:00:00:00'

const eni = (id: string, macAddress: string | null, device: string | null = null) =>
  eniObject(id, { macAddress, device }).value as ViewEni
/** `eth0`, `br0 bridge`, `eth0 in br0`, each with its MAC address. */
const links = (...told: readonly (readonly [string, string | null])[]): readonly Link[] =>
  told.map(([words, mac], index) => {
    const [name = '', ...rest] = words.split(' ')
    const master = rest[0] === 'in' ? rest[1] : undefined
    const kind = rest[0] === 'in' ? undefined : rest[0]
    return { index: index + 1, name, mac, up: true, ...(kind && { kind }), ...(master && { master }) }
  })

interface Row {
  readonly name: string
  readonly enis: readonly ViewEni[]
  readonly links: readonly Link[]
  readonly last?: Readonly<Record<string, string>>
  /** `eni device`, sorted as the ENIs. */
  readonly expected: readonly string[]
  readonly leftOut?: readonly string[]
  readonly guessed?: readonly string[]
  readonly names?: Readonly<Record<string, string>>
}

const rows: readonly Row[] = [
  {
    name: 'the device with the MAC address',
    enis: [eni('e', b)],
    links: links(['eth0', a], ['eth1', b]),
    expected: ['e eth1'],
  },
  {
    name: 'whatever name the ENI gives',
    enis: [eni('e', b, 'eth0')],
    links: links(['eth0', a], ['eth1', b]),
    expected: ['e eth1'],
  },
  {
    name: 'without a MAC address the device it names',
    enis: [eni('e', null, 'tap7')],
    links: [],
    expected: ['e tap7'],
  },
  {
    name: 'with neither it is left out',
    enis: [eni('e', null)],
    links: links(['eth0', a]),
    expected: [],
    leftOut: ['e'],
  },
  {
    name: 'a MAC address in upper case',
    enis: [eni('e', a.toUpperCase())],
    links: links(['eth0', a]),
    expected: ['e eth0'],
  },
  {
    name: 'of several the one it names',
    enis: [eni('e', a, 'eth0.7')],
    links: links(['eth0', a], ['eth0.7 vlan', a]),
    expected: ['e eth0.7'],
  },
  {
    name: 'of several the one below, not a VLAN or macvlan on it',
    enis: [eni('e', a)],
    links: links(['eth0.7 vlan', a], ['mv0 macvlan', a], ['eth0', a]),
    expected: ['e eth0'],
    guessed: ['e eth0 eth0.7,mv0'],
  },
  {
    name: 'of a bridge and its port the bridge, which the packets of the port come in as',
    enis: [eni('e', a)],
    links: links(['eth0 in br0', a], ['br0 bridge', a]),
    expected: ['e br0'],
    guessed: ['e br0 eth0'],
  },
  {
    name: 'of a bond and its ports the bond',
    enis: [eni('e', a)],
    links: links(['eth0 in bond0', a], ['eth1 in bond0', a], ['bond0 bond', a]),
    expected: ['e bond0'],
    guessed: ['e bond0 eth0,eth1'],
  },
  {
    name: 'a port whose bridge has another address is itself',
    enis: [eni('e', a)],
    links: links(['eth0 in br0', a], ['br0 bridge', b]),
    expected: ['e eth0'],
  },
  {
    name: 'of several alike the first',
    enis: [eni('e', a, 'eth9')],
    links: links(['eth0', a], ['eth1', a]),
    expected: ['e eth0'],
    guessed: ['e eth0 eth1'],
  },
  {
    name: 'none: its last name',
    enis: [eni('e', a, 'eth9')],
    links: links(['eth0', b]),
    last: { [a]: 'eth5' },
    expected: ['e eth5'],
    names: { [a]: 'eth5' },
  },
  { name: 'none: the device it names', enis: [eni('e', a, 'eth9')], links: [], expected: ['e eth9'], names: {} },
  { name: 'none and no name: left out', enis: [eni('e', a)], links: links(['eth0', b]), expected: [], leftOut: ['e'] },
  {
    name: 'a name that another ENI was found under is not its last name any more',
    enis: [eni('e', a), eni('f', b)],
    links: links(['eth0', b]),
    last: { [a]: 'eth0', [b]: 'eth1' },
    expected: ['f eth0'],
    leftOut: ['e'],
    names: { [b]: 'eth0' },
  },
  {
    name: 'nor the one it names',
    enis: [eni('e', a, 'eth0'), eni('f', b, 'eth1')],
    links: links(['eth0', b]),
    expected: ['f eth0'],
    leftOut: ['e'],
  },
  {
    name: 'a device that was given another MAC address keeps its policy',
    enis: [eni('e', a)],
    links: links(['eth0', b]),
    last: { [a]: 'eth0' },
    expected: ['e eth0'],
  },
  {
    name: 'two ENIs with one address are one device: the checks refuse that',
    enis: [eni('e', a), eni('f', a)],
    links: links(['eth0', a]),
    expected: ['e eth0', 'f eth0'],
  },
  {
    name: 'an address of zeros is none',
    enis: [eni('e', none)],
    links: links(['lo', none]),
    expected: [],
    leftOut: ['e'],
  },
  {
    name: 'a device with a name that no policy can say is none',
    enis: [eni('e', a)],
    links: links(['eth"0', a]),
    expected: [],
    leftOut: ['e'],
  },
  {
    name: 'names of addresses that no ENI has are forgotten',
    enis: [],
    links: [],
    last: { [a]: 'eth0' },
    expected: [],
    names: {},
  },
]

describe('an ENI is', () => {
  for (const row of rows) {
    test(row.name, () => {
      const { devices, leftOut, guessed, names } = bindEnis(
        row.enis,
        row.links,
        new Map(Object.entries(row.last ?? {})),
      )
      assert.deepEqual([...devices].map(each => each.join(' ')).sort(), row.expected)
      assert.deepEqual(leftOut, row.leftOut ?? [])
      assert.deepEqual(
        guessed.map(({ eniId, device, others }) => `${eniId} ${device} ${others}`),
        row.guessed ?? [],
      )
      if (row.names !== undefined) assert.deepEqual(Object.fromEntries(names), row.names)
    })
  }
})
