/**
 * Who may connect as which agent. TLS has shown that the client has the certificate's private key; everything else is
 * decided here, for every connection, from the certificate and the state as they are now. TLS's own verdict is not
 * asked: of a resumed session it is the one of the day the ticket was made, and without a certificate it is "good".
 */
import type { X509Certificate } from 'node:crypto'
import { endedReasons } from '../../wire/enrolment.ts'
import type { World } from '../state/world.ts'
import type { Authority } from './authority.ts'

export const refusalReasons = [
  'no-certificate',
  'wrong-authority',
  'wrong-usage',
  'unknown-agent',
  'revoked',
  'unlisted',
  endedReasons.renewable,
  endedReasons.tooLate,
] as const
export type RefusalReason = (typeof refusalReasons)[number]

/** Whose certificate it is, where nothing but its time may be wrong with it. */
export interface Known {
  readonly agentId: string
  readonly serialNumber: string
  /** When the connection must end. */
  readonly notAfterMs: number
  /** false: the state has forgotten it, and must list it before it is let in. */
  readonly isListed: boolean
}

export type Refused = { readonly kind: 'refused'; readonly reason: RefusalReason; readonly message: string }

export type Judgement = (Known & { readonly kind: 'admitted' }) | Refused

const clientAuth = '1.3.6.1.5.5.7.3.2'

export interface JudgeParts {
  readonly authority: Authority
  readonly world: World
  readonly nowMs: number
  /** For how long after its end a certificate may be renewed. */
  readonly renewalGraceMs: number
}

/** Whether it is good for a connection. */
export function judgeCertificate(certificate: X509Certificate | undefined, parts: JudgeParts): Judgement {
  const known = knownCertificate(certificate, parts)
  return known.kind === 'refused' ? known : (faultOfTime(known, parts) ?? known)
}

/** Whether it is good for a new one: also for some time after its end. */
export function judgeForRenewal(certificate: X509Certificate | undefined, parts: JudgeParts): Judgement {
  const judged = knownCertificate(certificate, parts)
  if (judged.kind === 'refused') return judged
  const fault = faultOfTime(judged, parts)
  return fault === null || fault.reason === endedReasons.renewable ? judged : fault
}

/** When it begins is not asked: a clock that was ahead when we signed it would lock the agent out until then. */
function faultOfTime({ notAfterMs }: Known, { nowMs, renewalGraceMs }: JudgeParts): Refused | null {
  if (notAfterMs > nowMs) return null
  const ended = `the certificate ended at ${new Date(notAfterMs).toISOString()}`
  const until = notAfterMs + renewalGraceMs
  if (until > nowMs) {
    const untilText = new Date(until).toISOString()
    return refuse(endedReasons.renewable, `${ended}: until ${untilText} it is good for asking for a new one alone`)
  }
  return refuse(endedReasons.tooLate, `${ended}, too long ago to be renewed: enrol again with a new token`)
}

/** Everything but its time. */
function knownCertificate(certificate: X509Certificate | undefined, { authority, world }: JudgeParts): Judgement {
  if (certificate === undefined) return refuse('no-certificate', 'expected a client certificate')
  if (!authority.hasSigned(certificate)) {
    return refuse('wrong-authority', 'expected a certificate that this daemon has signed')
  }
  if (certificate.ca || !certificate.keyUsage?.includes(clientAuth)) {
    return refuse('wrong-usage', 'expected a certificate for TLS clients')
  }
  const agentId = commonName(certificate)
  const agent = world.get('agent', agentId)
  if (agent === undefined)
    return refuse('unknown-agent', `there is no agent "${agentId}": enrol again with a new token`)
  if (agent.status === 'revoked') {
    return refuse('revoked', `agent "${agentId}" was revoked: enrol again with a new token`)
  }
  const { serialNumber } = certificate
  const notAfterMs = certificate.validToDate.getTime()
  const isListed = agent.certificates.some(listed => listed.serialNumber === serialNumber)
  const isNewer = agent.certificates.every(listed => listed.notAfterMs < notAfterMs)
  if (!isListed && !(isNewer && authority.hasForgotten(certificate))) {
    return refuse(
      'unlisted',
      `the certificate was replaced by a newer one of agent "${agentId}": where this host is a copy of another, or went back to an older state, enrol again with a new token`,
    )
  }
  return { kind: 'admitted', agentId, serialNumber, notAfterMs, isListed }
}

function refuse(reason: RefusalReason, why: string): Refused {
  return { kind: 'refused', reason, message: `Cannot connect as an agent: ${why}` }
}

/** Our certificates have nothing but a common name for their subject. */
function commonName(certificate: X509Certificate): string {
  return /^CN=([\w.-]+)$/.exec(certificate.subject)?.[1] ?? ''
}
