/**
 * What the control daemon tells an agent: the part of the fleet's state that the agent must know, as objects under
 * keys. A snapshot is all of them, a delta the ones that changed.
 */
import { thresholdsOfType } from '../rules-compiler/model/instance-types.ts'
import {
  type Bounds,
  ddosThresholdBounds,
  defaultScrubbing,
  type EnforcementMode,
  type Limits,
  type Logging,
  loggingBounds,
  orderedHoldBounds,
  scrubbingBounds,
} from '../rules-compiler/model/policy.ts'
import type { ScrubOrder } from '../rules-compiler/scrub/ir.ts'

export interface ViewInstance {
  readonly id: string
  readonly instanceType?: string
  readonly smtpUnblocked: boolean
  /** In the words of a policy file; left out: the maxima of the instance type. */
  readonly ddosThreshold?: { readonly bps: number; readonly pps: number; readonly source: 'manual' | 'auto' }
  /** True where an operator cancelled it. */
  readonly scrubbingCancelled?: boolean
  readonly ddosOrder?: ScrubOrder
}

/** An ENI as in a policy file, but bound by MAC address where it has one. */
export interface ViewEni {
  readonly id: string
  readonly instanceId: string
  readonly macAddress: string | null
  /** Where there is no MAC address, or several devices have it. */
  readonly device: string | null
  readonly placement: 'host' | 'guest'
  readonly addresses: readonly string[]
  readonly securityGroupIds: readonly string[]
  readonly nicType: 'internet' | 'intranet'
  /** Left out: `enforce`. An agent that does not know it enforces. */
  readonly mode?: EnforcementMode
}

/** A group that an ENI of the view is in: as in a policy file, without members. */
export interface ViewGroup {
  readonly id: string
  readonly type: 'basic' | 'advanced'
  readonly networkType: 'vpc' | 'classic'
  readonly vpcId?: string
  readonly ownerAccount: string
  readonly innerAccessPolicy: 'accept' | 'drop'
  /** Left out: `enforce`. */
  readonly mode?: EnforcementMode
  /** In the words of a policy file. */
  readonly rules: readonly Readonly<Record<string, string | number>>[]
}

/** Who is in a group whose members decide about packets: named by a rule, or with inner access. */
export interface ViewMembers {
  readonly networkType: 'vpc' | 'classic'
  readonly vpcId?: string
  readonly ownerAccount: string
  /** Canonical, both families, sorted as text, without duplicates. */
  readonly addresses: readonly string[]
}

export interface ViewPrefixList {
  readonly id: string
  readonly entries: readonly string[]
}

export interface ViewSettings {
  readonly sessionTimeout: number
  readonly revocation: 'immediate' | 'drain'
  readonly limits: Limits
  readonly trafficScope?: 'internet' | 'all'
  /** In the words of a policy file; what is left out has its default. */
  readonly scrubbing?: ViewScrubbing
  /** The same. */
  readonly logging?: Partial<Logging>
}

export interface ViewScrubbing {
  readonly secondsOver?: number
  readonly holdTime?: number
  readonly blackHoleThreshold?: number
  readonly blackHoleHoldTime?: number
  readonly mostBlackHoleHoldTime?: number
  readonly allowList?: readonly string[]
}

/** `settings` has the one id `fleet`. */
export type ViewObject =
  | { readonly kind: 'settings'; readonly id: string; readonly value: ViewSettings }
  | { readonly kind: 'instance'; readonly id: string; readonly value: ViewInstance }
  | { readonly kind: 'eni'; readonly id: string; readonly value: ViewEni }
  | { readonly kind: 'group'; readonly id: string; readonly value: ViewGroup }
  | { readonly kind: 'members'; readonly id: string; readonly value: ViewMembers }
  | { readonly kind: 'prefixList'; readonly id: string; readonly value: ViewPrefixList }

export type ViewKind = ViewObject['kind']
/** `<kind>/<id>`. */
export type ViewKey = string

export function viewKey(kind: ViewKind, id: string): ViewKey {
  return `${kind}/${id}`
}

export interface PolicyDocumentOptions {
  /** The device an ENI is, by name; null leaves the ENI out. */
  readonly deviceOf: (eni: ViewEni) => string | null
  /** The agent's own way to its daemon, never judged. */
  readonly controlConnections?: readonly { readonly address: string; readonly port: number }[]
  /** By whom and where the host is administered: accepted whatever the rules say. */
  readonly rescue?: readonly { readonly source: string; readonly port: number }[]
}

/** The policy file that says the same as a view, for `checkPolicy`: sorted by id, whatever the order of the objects. */
export function policyDocument(objects: Iterable<ViewObject>, options: PolicyDocumentOptions) {
  const all = [...objects].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
  const members = new Map(all.flatMap(object => (object.kind === 'members' ? [[object.id, object.value]] : [])))
  const groups = all.flatMap(object => (object.kind === 'group' ? [object.value] : []))
  const attached = new Set(groups.map(group => group.id))
  const { scrubbing, logging, ...settings } = all.find(object => object.kind === 'settings')?.value ?? {}
  return {
    apiVersion: 'ringwall/v1',
    instances: all.flatMap(object => (object.kind === 'instance' ? [fileInstance(object.value)] : [])),
    interfaces: all.flatMap(object => (object.kind === 'eni' ? boundEni(object.value, options) : [])),
    securityGroups: [
      ...groups.map(group => ({ ...group, members: members.get(group.id)?.addresses ?? [] })),
      ...[...members].flatMap(([id, { addresses, ...network }]) =>
        attached.has(id) ? [] : [{ id, type: unjudgedType(network), ...network, members: addresses }],
      ),
    ],
    prefixLists: all.flatMap(object => (object.kind === 'prefixList' ? [object.value] : [])),
    settings: {
      ...settings,
      ...(scrubbing !== undefined && { scrubbing: fileScrubbing(scrubbing) }),
      ...(logging !== undefined && { logging: fileLogging(logging) }),
      controlConnections: options.controlConnections ?? [],
      rescue: options.rescue ?? [],
    },
  }
}

/**
 * A daemon checks what is set by its own table and bounds, and a host of another version may have others. That must not
 * hold back the rules that come in the same view, so a number is brought within the bounds that hold here.
 */
function fileInstance({ ddosThreshold, ddosOrder, ...instance }: ViewInstance) {
  return {
    ...instance,
    ...(ddosThreshold !== undefined && { ddosThreshold: fileThreshold(ddosThreshold, instance.instanceType) }),
    ...(ddosOrder !== undefined && { ddosOrder: fileOrder(ddosOrder) }),
  }
}

function fileThreshold({ bps, pps, source }: NonNullable<ViewInstance['ddosThreshold']>, instanceType?: string) {
  const type = thresholdsOfType(instanceType ?? null)
  const most = { bps: type?.maxBpsMbit, pps: type?.maxPps }
  const within = (measure: 'bps' | 'pps', value: number) => {
    const { minimum, maximum } = ddosThresholdBounds[measure]
    return fit(value, { minimum, maximum: most[measure] ?? maximum })
  }
  return { bps: within('bps', bps), pps: within('pps', pps), source }
}

function fileOrder({ id, action, holdSeconds }: ScrubOrder) {
  const hold = action === 'black-hole' && holdSeconds !== null
  return { id, action, ...(hold && { holdSeconds: fit(holdSeconds, orderedHoldBounds) }) }
}

const scrubbingNumbers = Object.keys(scrubbingBounds) as (keyof typeof scrubbingBounds)[]

function fileScrubbing(given: ViewScrubbing): ViewScrubbing {
  const numbers = scrubbingNumbers.flatMap(name => {
    const value = given[name]
    return value === undefined ? [] : [[name, fit(value, scrubbingBounds[name])] as const]
  })
  const fitted: ViewScrubbing = { ...given, ...Object.fromEntries(numbers) }
  const { blackHoleHoldTime: first = defaultScrubbing.blackHoleHoldTime, mostBlackHoleHoldTime: most } = fitted
  return { ...fitted, ...(most !== undefined && { mostBlackHoleHoldTime: Math.max(first, most) }) }
}

function fileLogging(given: Partial<Logging>): Partial<Logging> {
  const { perSecond, nflogGroup } = given
  return {
    ...given,
    ...(perSecond !== undefined && { perSecond: fit(perSecond, loggingBounds.perSecond) }),
    ...(nflogGroup !== undefined && { nflogGroup: fit(nflogGroup, loggingBounds.nflogGroup) }),
  }
}

function fit(value: number, { minimum, maximum }: Bounds): number {
  return Math.min(Math.max(value, minimum), maximum)
}

/**
 * A group that is named by rules and attached to no ENI here is its members and nothing else: how many it may have is
 * not for this host to judge, and the limit on addresses is for basic groups only. Advanced groups are for VPCs only.
 */
function unjudgedType({ networkType }: Omit<ViewMembers, 'addresses'>): 'basic' | 'advanced' {
  return networkType === 'vpc' ? 'advanced' : 'basic'
}

function boundEni(eni: ViewEni, { deviceOf }: PolicyDocumentOptions) {
  const device = deviceOf(eni)
  const { macAddress, ...rest } = eni
  return device === null ? [] : [{ ...rest, device }]
}
