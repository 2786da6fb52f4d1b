/** Which kernel device each ENI is; pure. */
import { deviceMap } from '../../rules-compiler/nft/names.ts'
import type { ActualRuleset } from '../../rules-compiler/nft/read-ruleset.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'

export interface Device {
  readonly index: number
  readonly name: string
}

/** Kernel index of the device of each ENI that has one, keyed by ENI id. */
export type Bindings = ReadonlyMap<string, number>

/**
 * The device of the name a policy gives is the ENI. While there is none of that name, the device that was it last
 * stays it, whatever it is called now: a renamed device is never without its policy. Unless it has got the name of
 * another ENI's device: then it is that one's.
 */
export function bindDevices(ir: PolicyIr, devices: readonly Device[], previous: Bindings): Bindings {
  const alive = new Set(devices.map(device => device.index))
  const byName = new Map(devices.map(device => [device.name, device.index]))
  const named = new Set(ir.enis.map(eni => byName.get(eni.device)))
  const bindings = new Map<string, number>()
  for (const eni of ir.enis) {
    const last = previous.get(eni.id)
    const isStillIts = last !== undefined && alive.has(last) && !named.has(last)
    const index = byName.get(eni.device) ?? (isStillIts ? last : undefined)
    if (index !== undefined) bindings.set(eni.id, index)
  }
  return bindings
}

/** The bindings that stand in the kernel: what an agent knows after a restart. */
export function readBindings(actual: ActualRuleset): Bindings {
  const bindings = new Map<string, number>()
  for (const [index, verdict] of actual.verdictMaps.get(deviceMap('prerouting', 'index'))?.elements ?? []) {
    const target = 'goto' in verdict ? verdict.goto.target : ''
    bindings.set(target.split('/')[0] ?? '', Number(index))
  }
  return bindings
}
