/** A checked file to the model: defaults filled in, rules that are the same rule made one. */
import { coverBlocks } from '../address/cidr.ts'
import {
  defaultInstance,
  defaultLogging,
  defaultScrubbing,
  defaultSettings,
  type Eni,
  type Instance,
  type Policy,
  type Scrubbing,
  type SecurityGroup,
  type Settings,
} from '../model/policy.ts'
import { distinctRules } from './build-rule.ts'
import type { CheckContext, PlacedGroup } from './check-context.ts'
import type { FileGroup, FileInstance, FileScrubbing, PolicyFile } from './schema.ts'

/** The instance of a file that names none. */
const onlyInstance: Instance = { ...defaultInstance, id: 'i-host' }

/** @param context  of a file in which no check found a fault: then nothing was left out of it as unsound */
export function buildPolicy(context: CheckContext): Policy {
  const file = context.file as PolicyFile
  const instances = (file.instances ?? []).map(buildInstance)
  const named = instances.length > 0 || file.interfaces === undefined ? instances : [onlyInstance]
  return {
    instances: named,
    interfaces: (file.interfaces ?? []).map(
      (eni): Eni => ({
        id: eni.id,
        instanceId: eni.instanceId ?? named[0]!.id,
        device: eni.device,
        placement: eni.placement ?? 'host',
        addresses: [...new Set(eni.addresses)],
        securityGroupIds: eni.securityGroupIds,
        nicType: eni.nicType ?? 'internet',
        mode: eni.mode ?? 'enforce',
      }),
    ),
    securityGroups: context.groups.map(buildGroup),
    prefixLists: (file.prefixLists ?? []).map(({ id, name, entries }) => ({ id, name: name ?? null, entries })),
    settings: buildSettings(file, context),
  }
}

function buildInstance({ id, ddosThreshold, ddosOrder, ...given }: FileInstance): Instance {
  return {
    ...defaultInstance,
    id,
    ...given,
    ddosThreshold: ddosThreshold === undefined ? null : { source: 'manual', ...ddosThreshold },
    ddosOrder: ddosOrder === undefined ? null : { holdSeconds: null, ...ddosOrder },
  }
}

function buildGroup({ item, members, rules }: PlacedGroup): SecurityGroup {
  const group = item as FileGroup
  const type = group.type ?? 'basic'
  return {
    id: group.id,
    name: group.name ?? null,
    description: group.description ?? null,
    tags: group.tags ?? {},
    type,
    networkType: group.networkType ?? 'vpc',
    vpcId: group.vpcId ?? null,
    ownerAccount: group.ownerAccount ?? null,
    // Inner access is for basic groups only, so an advanced one has none, whatever the file says.
    innerAccessPolicy: type === 'advanced' ? 'drop' : (group.innerAccessPolicy ?? 'accept'),
    mode: group.mode ?? 'enforce',
    members,
    rules: distinctRules(rules.map(rule => rule.built)).map(built => built.rule),
  }
}

function buildSettings(file: PolicyFile, context: CheckContext): Settings {
  const { sessionTimeout, revocation, ctMarkMask, controlConnections, rescue, trafficScope, scrubbing, logging } =
    file.settings ?? {}
  return {
    sessionTimeoutSeconds: sessionTimeout ?? defaultSettings.sessionTimeoutSeconds,
    revocation: revocation ?? defaultSettings.revocation,
    ctMarkMask: ctMarkMask ?? defaultSettings.ctMarkMask,
    controlConnections: controlConnections ?? defaultSettings.controlConnections,
    rescue: rescue ?? defaultSettings.rescue,
    trafficScope: trafficScope ?? defaultSettings.trafficScope,
    scrubbing: buildScrubbing(scrubbing ?? {}),
    logging: { ...defaultLogging, ...logging },
    limits: context.limits,
  }
}

function buildScrubbing(given: FileScrubbing): Scrubbing {
  const { blackHoleHoldTime, mostBlackHoleHoldTime, allowList } = { ...defaultScrubbing, ...given }
  return {
    ...defaultScrubbing,
    ...given,
    // Whoever makes the first one longer than the longest is by default says nothing of the longest.
    mostBlackHoleHoldTime: Math.max(blackHoleHoldTime, mostBlackHoleHoldTime),
    allowList: coverBlocks(allowList),
  }
}
