/** Instances, their thresholds and attacks as answers of anti-DDoS have them. */
import { ddosThresholdBounds } from '../../../rules-compiler/model/policy.ts'
import type { DdosEvent, DdosPhase } from '../../../wire/ddos.ts'
import type { InstanceDoc } from '../../model/documents.ts'
import { thresholdFields } from '../../services/ddos-thresholds.ts'
import { enisOf } from '../../services/instances.ts'
import { showSettings } from '../../services/settings.ts'
import type { World } from '../../state/world.ts'
import type { RpcCall } from '../action.ts'

type Call = Pick<RpcCall<never>, 'api'>

export const theOnlyType = 'ecs'
type DdosTypeWord = 'defense' | 'blackhole'
export const statuses = ['normal', 'mitigating', 'blackholed'] as const
export type Status = (typeof statuses)[number]

/** Addresses of all its network interfaces, the primary one's first. */
export function addressesOf(world: World, { id }: InstanceDoc): readonly string[] {
  return enisOf(world, id).flatMap(({ addresses }) => addresses)
}

/** Numbers there are in any case: where there is no threshold, the largest there can be. */
function thresholdsOf(world: World, { api }: Call, instance: InstanceDoc) {
  const { bps, pps, maxBps, maxPps, source } = thresholdFields(instance, api.ddos)
  const most = { bps: ddosThresholdBounds.bps.maximum, pps: ddosThresholdBounds.pps.maximum }
  const own = bps ?? most.bps
  const ofAll = showSettings(world.settings, 0).scrubbing.blackHoleThreshold
  return {
    bps: own,
    pps: pps ?? most.pps,
    maxBps: maxBps ?? most.bps,
    maxPps: maxPps ?? most.pps,
    /** 0 in the settings is never. */
    blackHole: ofAll === 0 ? most.bps : Math.max(ofAll, bps ?? 0),
    isAuto: source !== 'manual',
  }
}

export function showThreshold(world: World, call: Call, instance: InstanceDoc, type: DdosTypeWord, internetIp: string) {
  const { bps, pps, maxBps, maxPps, blackHole, isAuto } = thresholdsOf(world, call, instance)
  const isDefense = type === 'defense'
  return {
    InstanceId: instance.id,
    InternetIp: internetIp,
    DdosType: type,
    Bps: isDefense ? bps : blackHole,
    Pps: isDefense ? pps : 0,
    MaxBps: isDefense ? maxBps : blackHole,
    MaxPps: isDefense ? maxPps : 0,
    ElasticBps: blackHole,
    IsAuto: isAuto,
  }
}

const words: Readonly<Record<DdosPhase, Status>> = {
  normal: 'normal',
  over: 'normal',
  cleaning: 'mitigating',
  // There is no fourth word, and an attack there is.
  uncleaned: 'mitigating',
  'black-hole': 'blackholed',
}

export function statusOf({ id }: InstanceDoc, { api }: Call): Status {
  return words[api.ddos.standingOf(id)?.status.phase ?? 'normal']
}

/** What both lists of assets say of an address. */
export function showAsset(world: World, call: Call, instance: InstanceDoc, ip: string) {
  const { bps, pps, blackHole } = thresholdsOf(world, call, instance)
  return {
    InstanceIp: ip,
    IpVersion: ip.includes(':') ? 'v6' : 'v4',
    DefenseBpsThreshold: bps,
    DefensePpsThreshold: pps,
    BlackholeThreshold: blackHole,
    ElasticThreshold: blackHole,
    IsBgppack: false,
  }
}

export const identity = ({ id, name }: InstanceDoc) => ({
  InstanceId: id,
  InstanceName: name ?? '',
  InstanceType: theOnlyType,
})

const attackKinds: ReadonlySet<string> = new Set(['start', 'types', 'peak', 'cleaning', 'uncleaned', 'black-hole'])

export function showEvent(event: DdosEvent, { api }: Call) {
  const isBlackHole = event.blackHoles > 0 || event.phase === 'black-hole'
  const lastOf = (isMeant: (kind: string) => boolean) =>
    Date.parse(event.changes.findLast(({ kind }) => isMeant(kind))?.time ?? event.startTime)
  const endMs = event.endTime === null ? 0 : Date.parse(event.endTime)
  const blackHole = event.phase === 'black-hole' ? api.ddos.standingOf(event.instanceId)?.status.blackHole : null
  const isLifted = event.changes.some(({ kind }) => kind === 'lift')
  const liftMs = blackHole != null ? Date.parse(blackHole.endTime) : isLifted ? lastOf(kind => kind === 'lift') : endMs
  return {
    DdosType: isBlackHole ? 'blackhole' : 'defense',
    DdosStatus: event.phase === 'ended' ? 'normal' : words[event.phase],
    StartTime: Date.parse(event.startTime),
    EndTime: endMs,
    DelayTime: lastOf(kind => attackKinds.has(kind)),
    UnBlackholeTime: isBlackHole ? liftMs : 0,
  }
}
