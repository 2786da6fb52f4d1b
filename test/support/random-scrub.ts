/** Random states of the scrubbing table: instances with ENIs in either placement, devices that come and go, defences. */
import { coverBlocks, parseCidr } from '../../rules-compiler/address/cidr.ts'
import type { Placement } from '../../rules-compiler/model/policy.ts'
import { laneTypes } from '../../rules-compiler/model/traffic.ts'
import type { ScrubTable } from '../../rules-compiler/scrub/compile.ts'
import type { Defence } from '../../rules-compiler/scrub/defence.ts'
import { makeScrubIr } from './ir.ts'
import type { Random } from './random.ts'
import { makeCleaning } from './scrub-table.ts'

export const arbitraryDevices = ['d0', 'd1', 'd2', 'd3'] as const

const allowBlocks = ['203.0.113.0/24', '203.0.113.7/32', '0.0.0.0/0', '2001:db8:1::/48', '2001:db8:1::1/128', '::/0']
const control = [
  { address: '198.18.0.9', port: 8443 },
  { address: '2001:db8::10', port: 8443 },
]

export function makeScrubTable(random: Random): ScrubTable {
  const ids = random.sample(['i-1', 'i-2', 'i-3'], random.integer(0, 3)).toSorted()
  const owners = arbitraryDevices.flatMap((device, index) =>
    ids.length === 0 || random.chance(0.2)
      ? []
      : [
          {
            instanceId: random.pick(ids),
            // Now and then an ENI is at another device than before.
            eni: {
              id: `eni-${random.chance(0.1) ? index + 10 : index}`,
              device,
              placement: random.pick<Placement>(['host', 'guest']),
            },
          },
        ],
  )
  const instances = ids.map(id => ({
    id,
    thresholds: random.pick([null, { bpsMbit: 5, pps: 1000, source: 'manual' as const }]),
    enis: owners.filter(({ instanceId }) => instanceId === id).map(({ eni }) => eni),
  }))
  return {
    ir: makeScrubIr(instances, {
      trafficScope: random.pick(['internet', 'internet', 'all']),
      allowList: coverBlocks(random.sample(allowBlocks, random.integer(0, 3)).map(text => parseCidr(text)!)),
      controlConnections: random.sample(control, random.integer(0, 2)),
    }),
    devices: new Set(arbitraryDevices.filter(() => random.chance(0.9))),
    defences: new Map(ids.filter(() => random.chance(0.8)).map(id => [id, makeDefence(random)])),
  }
}

function makeDefence(random: Random): Defence {
  const rate = () => ({
    packetsPerSecond: random.pick([1, 12, 900.5, 2000, 6_000_000]),
    bitsPerSecond: random.pick([800, 1_000_000, 5_000_000_000, 100_000_000_000]),
  })
  if (random.chance(0.2)) return { kind: 'none' }
  if (random.chance(0.3)) return { kind: 'black-hole', remainingSeconds: 5000 }
  return makeCleaning({
    total: rate(),
    shares: { known: rate(), unknown: rate() },
    connectionsPerSource: random.pick([null, 1, 20]),
    lanes: new Map(random.sample(laneTypes, random.integer(0, 6)).map(lane => [lane, rate()])),
    dropSessionless: random.chance(0.5),
  })
}
