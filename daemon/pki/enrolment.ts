/**
 * How hosts become agents and stay so: docs/push-protocol.md. Whether a token is good is decided by the commit that
 * makes the agent, so that of two that use it at once one is refused.
 */
import { createPublicKey, type KeyObject, randomUUID, verify } from 'node:crypto'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import {
  type EnrolAnswer,
  type EnrolRequest,
  formatEnrolmentToken,
  proofText,
  type RenewRequest,
} from '../../wire/enrolment.ts'
import type { HostReport } from '../../wire/messages.ts'
import { ApiError } from '../errors.ts'
import { type AgentDoc, type EnrolmentDoc, type InstanceDoc, type Kind, keyOf } from '../model/documents.ts'
import type { NotedPrincipal } from '../model/note.ts'
import { firstFault, hostReportSchema, knownReport, parse } from '../push/messages.ts'
import { isSecret, makeSecret } from '../secrets.ts'
import { withoutOrder } from '../services/ddos-thresholds.ts'
import { checkOneHost } from '../services/eni-bindings.ts'
import { Faults } from '../services/faults.ts'
import { madeId } from '../services/ids.ts'
import { enisOf } from '../services/instances.ts'
import type { World } from '../state/world.ts'
import type { Precondition, Store, Write } from '../store/store.ts'
import { sourceKey, Throttle } from '../throttle.ts'
import { type Authority, clockToleranceMs, type IssuedCertificate } from './authority.ts'
import { certificateDays, dayMs } from './lifetimes.ts'

/** How often a commit is made again because somebody else wrote the same documents meanwhile. */
const attempts = 8
/**
 * Attempts from one address that were refused, for whatever reason: a slip of the hand is forgiven. 256 bits are not
 * guessed anyway, but each refusal is a line of the audit log, and whoever writes many pushes out the old ones.
 */
const refusals = { burst: 10, perSecond: 0.1 } as const

/** Of one agent, whatever its connections: each is a signature and a commit. */
const renewals = { burst: 5, perSecond: 1 / 60 } as const

export interface EnrolmentOptions {
  readonly agentId?: string | null
  readonly instanceIds?: readonly string[]
  readonly newInstance?: EnrolmentDoc['newInstance']
  readonly validMs: number
  readonly nowMs: number
}

/** A token and what the store keeps of it. The text is shown once. @param caFingerprint  `Authority.fingerprint` */
export function makeEnrolment(options: EnrolmentOptions, caFingerprint: string) {
  const { agentId = null, instanceIds = [], newInstance = null, validMs, nowMs } = options
  const id = madeId('enrolment')
  const { secret, secretSha256 } = makeSecret()
  const enrolment: EnrolmentDoc = {
    id,
    secretSha256,
    agentId,
    instanceIds,
    newInstance,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + validMs,
    usedByAgentId: null,
  }
  return { enrolment, token: formatEnrolmentToken({ id, secret, caFingerprint }) }
}

/** Cut off for good: its certificates are worth nothing, and its connection ends with the commit. */
export function revokeAgent(agent: AgentDoc, nowMs: number): AgentDoc {
  return { ...agent, status: 'revoked', certificates: [], revokedAtMs: nowMs }
}

export interface EnrolmentParts {
  readonly store: Store
  /** Fed by the store's commits before their promises resolve. */
  readonly world: World
  readonly authority: Authority
  /** How long an agent's certificate is good for; seven days where left out. */
  readonly certificateMs?: number | undefined
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** Who asks for a new certificate, by which. */
export interface Renewing {
  readonly agentId: string
  readonly serialNumber: string
  readonly sourceAddress: string
}

export type RenewalAction = 'ringwall:RenewAgent' | 'ringwall:RenewEndedAgent'

interface Commitment {
  readonly writes: readonly Write[]
  /** Documents that must still be as the world has them. */
  readonly stands: readonly { readonly kind: Kind; readonly id: string }[]
}

interface Author {
  readonly action: string
  readonly principal: NotedPrincipal
  readonly sourceAddress: string
}

export class Enrolment {
  readonly #parts: EnrolmentParts
  readonly #now: () => number
  readonly #certificateMs: number
  readonly #refusals = new Throttle(refusals)
  readonly #renewals = new Throttle(renewals)

  constructor(parts: EnrolmentParts) {
    this.#parts = parts
    this.#now = parts.now ?? Date.now
    this.#certificateMs = parts.certificateMs ?? certificateDays.usual * dayMs
  }

  /**
   * @param body  as it came: JSON of an `EnrolRequest`
   * @throws {ApiError} where it is refused; nothing was stored then
   * @throws {StoreError}
   */
  async enrol(body: string, sourceAddress: string): Promise<EnrolAnswer> {
    const source = sourceKey(sourceAddress)
    const waitSeconds = this.#refusals.wait(source)
    if (waitSeconds > 0) {
      throw new ApiError(429, 'Throttling', 'Cannot enrol: too many attempts from this address were refused', {
        details: { retryAfterSeconds: Math.ceil(waitSeconds) },
      })
    }
    try {
      return await this.#admit(body, sourceAddress)
    } catch (error) {
      if (error instanceof ApiError && error.status < 500) this.#refusals.take(source)
      throw error
    }
  }

  async #admit(body: string, sourceAddress: string): Promise<EnrolAnswer> {
    const request = readEnrolRequest(body)
    const key = provenKey(request.publicKey, request.proof, request.tokenId)
    this.#requireSecret(request)
    this.#requireClock(request)
    const { authority } = this.#parts
    return this.#repeat(async () => {
      const agentId = this.#usable(request.tokenId).agentId ?? madeId('agent')
      const issued = await authority.issueAgentCertificate(agentId, key, this.#certificateMs, this.#now())
      // Read again: from here to the commit nothing else runs, so what it stands on is what was looked at.
      const enrolment = this.#usable(request.tokenId)
      const { writes, stands } = this.#enrolled(enrolment, agentId, { request, issued })
      const author: Author = {
        action: 'ringwall:EnrolAgent',
        principal: { kind: 'enrolment', id: enrolment.id, name: request.report.hostName },
        sourceAddress,
      }
      const answer = { agentId, certificate: issued.certificate, caCertificate: authority.certificate }
      return (await this.#commit({ writes, stands }, author)) ? answer : null
    })
  }

  /**
   * A further certificate, for a new key. The one that it is asked for with stays good until the new one is used.
   * @param serialNumber  of the certificate that the agent has shown to be its own
   * @param action        as it is audited
   * @returns PEM
   * @throws {ApiError} where it is refused
   */
  async renew(
    { agentId, serialNumber, sourceAddress }: Renewing,
    { publicKey, proof }: RenewRequest,
    action: RenewalAction = 'ringwall:RenewAgent',
  ): Promise<string> {
    if (!this.#renewals.take(agentId)) {
      throw new ApiError(429, 'Throttling', 'Cannot renew so often: a certificate lasts for days')
    }
    const key = provenKey(publicKey, proof, agentId)
    const issued = await this.#parts.authority.issueAgentCertificate(agentId, key, this.#certificateMs, this.#now())
    const { notAfterMs } = issued
    await this.#change(agentId, action, sourceAddress, agent => {
      const current = agent.certificates.filter(listed => listed.serialNumber === serialNumber)
      if (current.length === 0) {
        throw new ApiError(409, 'Conflict', 'Cannot renew: the certificate of this connection is not good any more')
      }
      return { ...agent, certificates: [...current, { serialNumber: issued.serialNumber, notAfterMs }] }
    })
    return issued.certificate
  }

  /** The agent has used this certificate: those before it are over. */
  async confirm(agentId: string, serialNumber: string, sourceAddress: string): Promise<void> {
    await this.#change(agentId, 'ringwall:ConfirmAgentCertificate', sourceAddress, agent => {
      const place = agent.certificates.findIndex(listed => listed.serialNumber === serialNumber)
      return place <= 0 ? null : { ...agent, certificates: agent.certificates.slice(place) }
    })
  }

  /** A certificate that the state has forgotten is listed again; those that it is newer than go when it is used. */
  async adopt(
    agentId: string,
    certificate: { readonly serialNumber: string; readonly notAfterMs: number },
    sourceAddress: string,
  ): Promise<void> {
    const { serialNumber, notAfterMs } = certificate
    await this.#change(agentId, 'ringwall:AdoptAgentCertificate', sourceAddress, agent => {
      if (agent.certificates.some(listed => listed.serialNumber === serialNumber)) return null
      return { ...agent, certificates: [...agent.certificates, { serialNumber, notAfterMs }] }
    })
  }

  /** What the host says of itself; stored only where it is news. @param report  of known shape */
  async report(agentId: string, report: HostReport, sourceAddress: string): Promise<void> {
    const action = (agent: AgentDoc) => openingOf(agent.report, report) ?? 'ringwall:ReportAgent'
    await this.#change(agentId, action, sourceAddress, agent => {
      const same = JSON.stringify(agent.report) === JSON.stringify(report)
      return same ? null : { ...agent, hostName: report.hostName, report }
    })
  }

  /** An unknown id and a wrong secret are one answer: who guesses learns nothing. */
  #requireSecret({ tokenId, secret }: EnrolRequest): void {
    const enrolment = this.#parts.world.get('enrolment', tokenId)
    if (enrolment !== undefined && isSecret(secret, enrolment.secretSha256)) return
    throw new ApiError(401, 'InvalidEnrolmentToken', 'Cannot enrol: expected a token that this daemon has given out')
  }

  /** A certificate that is not good yet by the host's clock, or was long ago, would spend the token for nothing. */
  #requireClock({ timeMs = this.#now() }: EnrolRequest): void {
    const nowMs = this.#now()
    if (Math.abs(timeMs - nowMs) <= clockToleranceMs) return
    const [theirs, ours] = [timeMs, nowMs].map(ms => new Date(ms).toISOString())
    throw new ApiError(
      400,
      'ClocksDiffer',
      `Cannot enrol: the host's clock says ${theirs} and the daemon's ${ours}: set the wrong one and use the token again`,
    )
  }

  #usable(tokenId: string): EnrolmentDoc {
    const enrolment = this.#parts.world.get('enrolment', tokenId)
    const refuse = (status: number, code: string, why: string) =>
      new ApiError(status, code, `Cannot enrol with token "${tokenId}": ${why}; ask for a new one`)
    if (enrolment === undefined) throw refuse(401, 'InvalidEnrolmentToken', 'it was deleted')
    const { usedByAgentId, expiresAtMs, agentId, instanceIds, newInstance } = enrolment
    if (usedByAgentId !== null) throw refuse(409, 'EnrolmentTokenUsed', `agent "${usedByAgentId}" has used it`)
    if (expiresAtMs <= this.#now()) {
      throw refuse(401, 'EnrolmentTokenExpired', `it ended at ${new Date(expiresAtMs).toISOString()}`)
    }
    const { world } = this.#parts
    if (agentId !== null && world.get('agent', agentId) === undefined) {
      throw refuse(409, 'InvalidAgentId.NotFound', `agent "${agentId}", which it is for, was deleted`)
    }
    const gone = instanceIds.find(id => world.get('instance', id) === undefined)
    if (gone !== undefined) {
      throw refuse(409, 'InvalidInstanceId.NotFound', `instance "${gone}", which it is for, was deleted`)
    }
    if (newInstance !== null && world.get('account', newInstance.accountId) === undefined) {
      throw refuse(409, 'InvalidAccountId.NotFound', `account "${newInstance.accountId}", which it is for, was deleted`)
    }
    this.#requireOneHost(enrolment)
    return enrolment
  }

  /** What could not collide while nobody served its instances may do so on one host. */
  #requireOneHost({ agentId, instanceIds }: EnrolmentDoc): void {
    const { world } = this.#parts
    const faults = new Faults()
    const bound = instanceIds.flatMap(id => enisOf(world, id).map(eni => ({ eni, at: () => `instance ${id}` })))
    checkOneHost(world, agentId, bound, faults)
    faults.throwIfAny()
  }

  #enrolled(
    enrolment: EnrolmentDoc,
    agentId: string,
    { request, issued }: { readonly request: EnrolRequest; readonly issued: IssuedCertificate },
  ): Commitment {
    const { world } = this.#parts
    const nowMs = this.#now()
    const report = knownReport(request.report)
    const { serialNumber, notAfterMs } = issued
    const agent: AgentDoc = {
      id: agentId,
      hostName: report.hostName,
      status: 'active',
      certificates: [{ serialNumber, notAfterMs }],
      report,
      createdAtMs: world.get('agent', agentId)?.createdAtMs ?? nowMs,
      revokedAtMs: null,
    }
    // Whoever enrols remembers nothing of what its instances' agents were ordered before.
    const ordered = [...world.instancesOfAgent(agentId)].filter(
      id => world.get('instance', id)?.ddosOrder !== undefined,
    )
    const bound = [...new Set([...enrolment.instanceIds, ...ordered])].map(
      (id): InstanceDoc => ({ ...withoutOrder(world.get('instance', id)!), agentId }),
    )
    const { newInstance } = enrolment
    const made = newInstance === null ? [] : [makeInstance(newInstance, { agentId, name: report.hostName, nowMs })]
    return {
      writes: [
        { key: keyOf('enrolment', enrolment.id), value: { ...enrolment, usedByAgentId: agentId } },
        { key: keyOf('agent', agentId), value: agent },
        ...[...bound, ...made].map(instance => ({ key: keyOf('instance', instance.id), value: instance })),
      ],
      stands: [
        { kind: 'enrolment', id: enrolment.id },
        { kind: 'agent', id: agentId },
        ...[...bound, ...made].map(({ id }) => ({ kind: 'instance' as const, id })),
        ...(newInstance === null ? [] : [{ kind: 'account' as const, id: newInstance.accountId }]),
      ],
    }
  }

  /** @param change  gives null where there is nothing to do */
  async #change(
    agentId: string,
    action: string | ((agent: AgentDoc) => string),
    sourceAddress: string,
    change: (agent: AgentDoc) => AgentDoc | null,
  ): Promise<void> {
    await this.#repeat(async () => {
      const agent = this.#parts.world.get('agent', agentId)
      if (agent === undefined || agent.status === 'revoked') {
        throw new ApiError(409, 'Conflict', `Cannot change agent "${agentId}": expected one that is not revoked`)
      }
      const changed = change(agent)
      if (changed === null) return true
      const author: Author = {
        action: typeof action === 'string' ? action : action(agent),
        principal: { kind: 'agent', id: agentId, name: agent.hostName },
        sourceAddress,
      }
      const writes = [{ key: keyOf('agent', agentId), value: changed }]
      return (await this.#commit({ writes, stands: [{ kind: 'agent', id: agentId }] }, author)) || null
    })
  }

  /** @returns false where something it stands on was written meanwhile */
  async #commit({ writes, stands }: Commitment, author: Author): Promise<boolean> {
    const { store, world } = this.#parts
    const preconditions = stands.map(
      ({ kind, id }): Precondition => ({ kind: 'key', key: keyOf(kind, id), revision: world.revisionOf(kind, id) }),
    )
    const result = await store.commit({ writes, preconditions, note: { ...author, requestId: randomUUID() } })
    return result.kind === 'committed'
  }

  async #repeat<T>(attempt: () => Promise<T | null>): Promise<T> {
    for (let count = 1; count <= attempts; count += 1) {
      const result = await attempt()
      if (result !== null) return result
      // What the other daemon wrote reaches the world through the watch.
      await new Promise(setImmediate)
    }
    throw new ApiError(503, 'Busy', `Cannot store the change: others wrote ${attempts} times meanwhile; try again`)
  }
}

/** Who looks for it in the audit log must not read every report: null where the host is open or closed as before. */
function openingOf(before: HostReport | null, now: HostReport): string | null {
  const [wasOpen, isOpen] = [before, now].map(report => report?.openSince !== undefined)
  if (wasOpen === isOpen) return null
  return isOpen ? 'ringwall:OpenHost' : 'ringwall:CloseHost'
}

function makeInstance(
  { accountId, instanceType }: NonNullable<EnrolmentDoc['newInstance']>,
  { agentId, name, nowMs }: { readonly agentId: string; readonly name: string; readonly nowMs: number },
): InstanceDoc {
  const described = { name, description: null, tags: {}, createdAtMs: nowMs }
  return { id: madeId('instance'), accountId, instanceType, agentId, smtpUnblocked: false, ...described }
}

/** The last that a Date can be (ECMA-262, 21.4.1.1). */
const maxTimeMs = 8.64e15

const enrolRequest = Compile(
  Type.Object({
    tokenId: Type.String({ pattern: '^[a-z0-9-]{1,64}$' }),
    secret: Type.String({ pattern: '^[\\w-]{43}$' }),
    publicKey: Type.String({ pattern: '^[\\w-]{1,512}$' }),
    proof: Type.String({ pattern: '^[\\w-]{1,512}$' }),
    report: hostReportSchema,
    timeMs: Type.Optional(Type.Integer({ minimum: 0, maximum: maxTimeMs })),
  }),
)

const renewRequest = Compile(
  Type.Object({
    publicKey: Type.String({ pattern: '^[\\w-]{1,512}$' }),
    proof: Type.String({ pattern: '^[\\w-]{1,512}$' }),
  }),
)

/** @throws {ApiError} 400 */
export function readRenewRequest(body: string): RenewRequest {
  const request = parse(body)
  if (renewRequest.Check(request)) return request
  const fault = request === undefined ? 'expected JSON' : firstFault(renewRequest, request)
  throw new ApiError(400, 'InvalidParameter', `Cannot read the request: ${fault}`)
}

/** @throws {ApiError} 400 */
function readEnrolRequest(body: string): EnrolRequest {
  const request = parse(body)
  if (request === undefined) throw new ApiError(400, 'InvalidParameter', 'Cannot read the request: expected JSON')
  if (!enrolRequest.Check(request)) {
    throw new ApiError(400, 'InvalidParameter', `Cannot read the request: ${firstFault(enrolRequest, request)}`)
  }
  return request
}

/**
 * @returns the key in DER, as we write it ourselves
 * @throws {ApiError} 400 where it is no P-256 key, or the proof is not that of its owner
 */
function provenKey(publicKey: string, proof: string, purpose: string): Buffer {
  const key = parsePublicKey(publicKey)
  if (key === null) {
    throw new ApiError(
      400,
      'InvalidParameter',
      'publicKey: expected an ECDSA key on P-256, SubjectPublicKeyInfo in DER, base64url',
    )
  }
  const signature = Buffer.from(proof, 'base64url')
  const text = Buffer.from(proofText(purpose, publicKey))
  if (!verify('sha256', text, { key, dsaEncoding: 'ieee-p1363' }, signature)) {
    throw new ApiError(400, 'InvalidParameter', `proof: expected a signature of "${purpose}" by the key`)
  }
  return key.export({ type: 'spki', format: 'der' })
}

function parsePublicKey(text: string): KeyObject | null {
  try {
    const key = createPublicKey({ key: Buffer.from(text, 'base64url'), format: 'der', type: 'spki' })
    const isP256 = key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1'
    return isP256 ? key : null
  } catch {
    return null
  }
}
