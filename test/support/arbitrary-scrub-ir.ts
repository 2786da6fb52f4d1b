/** Arbitrary settings of traffic scrubbing for fast-check. They shrink towards the defaults, and towards no thresholds. */
import fc from 'fast-check'
import { coverBlocks, parseCidr } from '../../rules-compiler/address/cidr.ts'
import type { ScrubEni, ScrubInstance, ScrubIr, ScrubOrder, ScrubThresholds } from '../../rules-compiler/scrub/ir.ts'

const allowBlocks = ['203.0.113.0/24', '203.0.113.7/32', '10.0.0.0/8', '2001:db8:1::/48', '2001:db8:1::1/128', '::/0']

const thresholds: fc.Arbitrary<ScrubThresholds> = fc.record({
  bpsMbit: fc.constantFrom(1, 500, 5000, 30_000),
  pps: fc.constantFrom(1, 100_000, 6_000_000),
  source: fc.constantFrom('manual' as const, 'auto' as const, 'type' as const),
})

const order: fc.Arbitrary<ScrubOrder> = fc.record({
  id: fc.constantFrom('order-1', 'order-2'),
  action: fc.constantFrom('lift' as const, 'black-hole' as const),
  holdSeconds: fc.option(fc.constantFrom(1, 600), { nil: null }),
})

const settings: fc.Arbitrary<Omit<ScrubIr, 'instances'>> = fc.record({
  trafficScope: fc.constantFrom('internet' as const, 'all' as const),
  allowList: fc.subarray(allowBlocks).map(texts => coverBlocks(texts.map(text => parseCidr(text)!))),
  controlConnections: fc.subarray([
    { address: '203.0.113.99', port: 8443 },
    { address: '2001:db8::10', port: 8443 },
  ]),
  secondsOver: fc.constantFrom(1, 3),
  holdSeconds: fc.constantFrom(60, 1, 86_400),
  blackHoleMbit: fc.constantFrom(5000, 0, 1),
  blackHoleHoldSeconds: fc.constantFrom(1800, 1),
  mostBlackHoleHoldSeconds: fc.constantFrom(86_400, 1800),
})

function arbitraryInstance(id: string): fc.Arbitrary<Omit<ScrubInstance, 'enis'>> {
  return fc.record({
    id: fc.constant(id),
    addresses: fc.constant([]),
    instanceType: fc.constantFrom(null, 'ecs.g5.large', 'no.such.type'),
    maximum: fc.constantFrom(null, { maxBpsMbit: 30_000, maxPps: 6_000_000 }),
    thresholds: fc.option(thresholds, { nil: null }),
    scrubbing: fc.constantFrom('on' as const, 'cancelled' as const),
    order: fc.option(order, { nil: null }),
  })
}

/** Settings of a host of one instance, for whatever ENIs it has. */
export function arbitraryScrub(instanceId: string): fc.Arbitrary<(enis: readonly ScrubEni[]) => ScrubIr> {
  return fc.tuple(settings, arbitraryInstance(instanceId)).map(([settings, instance]) => enis => ({
    ...settings,
    instances: [{ ...instance, enis }],
  }))
}
