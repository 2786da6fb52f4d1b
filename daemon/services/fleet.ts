/** Agents: how each of them stands, and how they come and go. */
import type { Static } from 'typebox'
import type { EniState } from '../../wire/messages.ts'
import { ApiError, notFound } from '../errors.ts'
import { type AgentDoc, type EnrolmentDoc, keyOf } from '../model/documents.ts'
import { makeEnrolment, revokeAgent as revoked } from '../pki/enrolment.ts'
import {
  type Agent,
  type createEnrolmentTokenSchema,
  defaultEnrolmentSeconds,
  type EnrolmentToken,
} from '../schemas/agents.ts'
import { isoTime } from '../schemas/fields.ts'
import type { World } from '../state/world.ts'
import { withoutOrder } from './ddos-thresholds.ts'
import { checkOneHost } from './eni-bindings.ts'
import type { Plan } from './executor.ts'
import { conflict, Faults, invalidRequest } from './faults.ts'
import { enisOf } from './instances.ts'
import { isObserved } from './modes.ts'
import { notMade } from './tokens.ts'

/** What the push side knows of an agent. */
export interface AgentStanding {
  readonly state: Agent['state']
  /** Milliseconds since 1970. */
  readonly sinceMs: number
  readonly enforcedRevision: number | null
  readonly relevantRevision: number
  readonly lastError: { readonly message: string } | null
  readonly trial: Trial | null
  readonly enis: readonly EniState[]
}

/** A policy in an agent's kernel that is taken back unless it shows that it locks nobody out. */
export interface Trial {
  readonly revision: number
  readonly cuts: readonly string[]
  readonly needsPerson: boolean
  /** Milliseconds since 1970. */
  readonly untilMs: number
}

/** Everything about agents that is not in the state. */
export interface Fleet {
  /** undefined for one that is not enrolled. */
  statusOf(agentId: string): AgentStanding | undefined
  /** Tells the agent. @throws {ApiError} 409 where nothing on trial there waits for anybody */
  confirmTrial(agentId: string): Trial
  /** Where agents reach the daemon: `https://daemon.example:9443`. */
  readonly agentUrl: string
  /** SHA-256 of the CA certificate in DER, base64url. */
  readonly caFingerprint: string
}

export function showAgent(world: World, agent: AgentDoc, standing: AgentStanding | undefined): Agent {
  const { id, hostName, certificates, report, createdAtMs, revokedAtMs } = agent
  const endsAtMs = Math.max(0, ...certificates.map(({ notAfterMs }) => notAfterMs))
  return {
    agentId: id,
    hostName,
    state: stateOf(agent, standing),
    since: isoTime(standing?.sinceMs ?? revokedAtMs ?? createdAtMs),
    enforcedRevision: standing?.enforcedRevision ?? null,
    relevantRevision: standing?.relevantRevision ?? world.revision,
    lastError: standing?.lastError?.message ?? null,
    trial: showTrial(standing?.trial ?? null),
    isOpen: report?.openSince !== undefined,
    openSince: report?.openSince ?? null,
    certificateExpireTime: certificates.length === 0 ? null : isoTime(endsAtMs),
    instanceIds: [...world.instancesOfAgent(id)].sort(),
    kernel: report?.kernel ?? null,
    nftVersion: report?.nftVersion ?? null,
    agentVersion: report?.agentVersion ?? null,
    capabilities: report?.capabilities ?? {},
    rescue: report?.rescue === undefined ? null : [...report.rescue],
    rescuePorts: report?.rescuePorts === undefined ? null : [...report.rescuePorts],
    devices: (report?.devices ?? []).map(device => ({ ...device, addresses: [...device.addresses] })),
    networkInterfaces: (standing?.enis ?? []).map(eni => ({ networkInterfaceId: eni.id, state: eni.state })),
    observedNetworkInterfaceIds: observedOf(world, id),
    createTime: isoTime(createdAtMs),
    revision: world.revisionOf('agent', id),
  }
}

export function stateOf({ status }: AgentDoc, standing: AgentStanding | undefined): Agent['state'] {
  return status === 'revoked' ? 'revoked' : (standing?.state ?? 'away')
}

export function showTrial(trial: Trial | null): Agent['trial'] {
  if (trial === null) return null
  const { revision, cuts, needsPerson, untilMs } = trial
  return { revision, cuts: [...cuts], needsPerson, until: isoTime(untilMs) }
}

function observedOf(world: World, agentId: string): string[] {
  const enis = [...world.instancesOfAgent(agentId)].flatMap(instanceId => enisOf(world, instanceId))
  return enis
    .filter(eni => isObserved(world, eni))
    .map(({ id }) => id)
    .sort()
}

/** @throws {ApiError} 404 */
export function findAgent(world: World, id: string): AgentDoc {
  const agent = world.get('agent', id)
  if (agent === undefined) throw notFound('agent', id)
  return agent
}

/** @returns the agent as it will be; nothing changes for one that is revoked already */
export function revokeAgent(
  world: World,
  id: string,
  nowMs: number,
): { readonly agent: AgentDoc; readonly key: string } {
  const agent = findAgent(world, id)
  return { agent: agent.status === 'revoked' ? agent : revoked(agent, nowMs), key: keyOf('agent', id) }
}

/** Its instances are without agent then, and tokens for it to enrol again are worth nothing. */
export function deleteAgent(world: World, id: string): Plan<{ agentId: string }> {
  const agent = findAgent(world, id)
  if (agent.status !== 'revoked' && agent.report !== null) {
    throw new ApiError(409, 'Conflict', `Cannot delete agent "${id}": it may be at work; revoke it first`)
  }
  const instances = [...world.instancesOfAgent(id)].map(instanceId => world.get('instance', instanceId)!)
  const tokens = [...world.all('enrolment')].filter(token => token.agentId === id && token.usedByAgentId === null)
  return {
    writes: [
      { key: keyOf('agent', id), value: null },
      ...instances.map(instance => ({
        key: keyOf('instance', instance.id),
        value: { ...withoutOrder(instance), agentId: null },
      })),
      ...tokens.map(token => ({ key: keyOf('enrolment', token.id), value: null })),
    ],
    body: () => ({ agentId: id }),
  }
}

export function showEnrolment(enrolment: EnrolmentDoc, revision: number): EnrolmentToken {
  const { id, agentId, instanceIds, newInstance, createdAtMs, expiresAtMs, usedByAgentId } = enrolment
  return {
    enrolmentTokenId: id,
    agentId,
    instanceIds: [...instanceIds],
    newInstance,
    createTime: isoTime(createdAtMs),
    expireTime: isoTime(expiresAtMs),
    usedByAgentId,
    revision,
  }
}

export interface CreateEnrolment {
  readonly body: Static<typeof createEnrolmentTokenSchema>
  readonly fleet: Fleet
  readonly nowMs: number
  readonly dryRun: boolean
}

export interface MadeEnrolment {
  readonly enrolmentToken: EnrolmentToken
  readonly token: string
  /** To be run on the host. */
  readonly joinCommand: string
}

export function createEnrolment(world: World, { body, fleet, nowMs, dryRun }: CreateEnrolment): Plan<MadeEnrolment> {
  checkEnrolment(world, body)
  const { agentId, instanceIds, newInstance, expiresInSeconds = defaultEnrolmentSeconds } = body
  const options = {
    agentId: agentId ?? null,
    instanceIds: [...new Set(instanceIds)],
    newInstance:
      newInstance === undefined
        ? null
        : { accountId: newInstance.accountId, instanceType: newInstance.instanceType ?? null },
    validMs: expiresInSeconds * 1000,
    nowMs,
  }
  const { enrolment, token } = makeEnrolment(options, fleet.caFingerprint)
  const shown = dryRun ? notMade : token
  return {
    writes: [{ key: keyOf('enrolment', enrolment.id), value: enrolment }],
    body: revisionOf => ({
      enrolmentToken: showEnrolment(enrolment, revisionOf('enrolment', enrolment.id)),
      token: shown,
      joinCommand: dryRun ? notMade : `ringwall agent join ${fleet.agentUrl} --token ${token}`,
    }),
  }
}

export function deleteEnrolment(world: World, id: string): Plan<{ enrolmentTokenId: string }> {
  if (world.get('enrolment', id) === undefined) throw notFound('enrolment', id)
  return { writes: [{ key: keyOf('enrolment', id), value: null }], body: () => ({ enrolmentTokenId: id }) }
}

/** What can be seen now; what has changed when the token is used is seen to then. */
function checkEnrolment(world: World, { agentId, instanceIds = [], newInstance }: CreateEnrolment['body']): void {
  const faults = new Faults()
  if (agentId !== undefined && world.get('agent', agentId) === undefined) {
    faults.addError(notFound('agent', agentId, 'agentId'))
  }
  if (newInstance !== undefined && world.get('account', newInstance.accountId) === undefined) {
    faults.addError(notFound('account', newInstance.accountId, 'newInstance.accountId'))
  }
  for (const [index, id] of instanceIds.entries()) {
    const field = `instanceIds[${index}]`
    const instance = world.get('instance', id)
    if (instance === undefined) {
      faults.addError(notFound('instance', id, field))
    } else if (instance.agentId !== null && instance.agentId !== agentId) {
      const message = `Cannot use instance "${id}": expected one without agent, but agent "${instance.agentId}" serves it`
      faults.add(conflict, { code: 'conflict', field, message, value: id })
    } else if (instanceIds.indexOf(id) !== index) {
      const message = `Cannot use instance "${id}" a second time: expected each once`
      faults.add(invalidRequest, { code: 'duplicate', field, message, value: id })
    }
  }
  faults.throwIfAny()
  // One host cannot serve two ENIs of one device, whichever instances they belong to.
  const bound = instanceIds.flatMap((id, index) =>
    enisOf(world, id).map(eni => ({ eni, at: () => `instanceIds[${index}]` })),
  )
  checkOneHost(world, agentId ?? null, bound, faults)
  faults.throwIfAny()
}
