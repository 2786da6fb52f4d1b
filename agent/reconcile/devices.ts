/** Which kernel device each ENI is; pure. */
import { deviceMap } from '../../rules-compiler/nft/names.ts'
import type { ActualRuleset } from '../../rules-compiler/nft/read-ruleset.ts'

export interface Device {
  readonly index: number
  readonly name: string
}

export interface Binding {
  /** The kernel's index: kept when the device is renamed. */
  readonly index: number
  /** The name the policy gave when the device was found by it. */
  readonly device: string
}

/** An ENI, and the device that the policy names. */
export interface NamedDevice {
  readonly id: string
  readonly device: string
}

/** The device of each ENI that has one, keyed by ENI id. */
export type Bindings = ReadonlyMap<string, Binding>

/**
 * The device of the name a policy gives is the ENI. While there is none of that name, the device that was it last
 * stays it, whatever it is called now: a renamed device is never without its policy. It is let go when the policy gives
 * the ENI another name, or when it has got the name of another ENI, also of one without groups: then it is that one's.
 * @param gone  indexes of devices removed since `previous`: whatever has one of them now is another device
 */
export function bindDevices(
  ir: { readonly enis: readonly NamedDevice[]; readonly unattachedEnis: readonly NamedDevice[] },
  devices: readonly Device[],
  previous: Bindings,
  gone: ReadonlySet<number> = new Set(),
): Bindings {
  const alive = new Set(devices.map(device => device.index))
  const byName = new Map(devices.map(device => [device.name, device.index]))
  const named = new Set([...ir.enis, ...ir.unattachedEnis].map(eni => byName.get(eni.device)))
  const bindings = new Map<string, Binding>()
  for (const { id, device } of ir.enis) {
    const last = previous.get(id)
    const isAlive = last !== undefined && alive.has(last.index) && !gone.has(last.index)
    const isStillIts = isAlive && last.device === device && !named.has(last.index)
    const index = byName.get(device) ?? (isStillIts ? last.index : undefined)
    if (index !== undefined) bindings.set(id, { index, device })
  }
  return bindings
}

/** Kernel indexes keyed by ENI id, for the compiler. */
export function deviceIndexes(bindings: Bindings): ReadonlyMap<string, number> {
  return new Map([...bindings].map(([id, { index }]) => [id, index]))
}

/** The bindings that stand in the kernel: what an agent knows after a restart. */
export function readBindings(actual: ActualRuleset): Bindings {
  const names = readTargets(actual, 'name')
  const bindings = new Map<string, Binding>()
  for (const [id, index] of readTargets(actual, 'index')) {
    const device = names.get(id)
    if (device !== undefined) bindings.set(id, { index: Number(index), device })
  }
  return bindings
}

/** The key that leads to each ENI in a dispatch map, keyed by ENI id. */
function readTargets(actual: ActualRuleset, by: 'name' | 'index'): ReadonlyMap<string, string> {
  const elements = [...(actual.verdictMaps.get(deviceMap('prerouting', by))?.elements ?? [])]
  return new Map(elements.map(([key, verdict]) => ['goto' in verdict ? verdict.goto.target.split('/')[0]! : '', key]))
}
