/**
 * Who may connect as which agent. TLS has shown that the client has the certificate's private key; everything else is
 * decided here, for every connection, from the certificate and the state as they are now. TLS's own verdict is not
 * asked: of a resumed session it is the one of the day the ticket was made, and without a certificate it is "good".
 */
import type { X509Certificate } from 'node:crypto'
import type { World } from '../state/world.ts'
import type { Authority } from './authority.ts'

export const refusalReasons = [
  'no-certificate',
  'wrong-authority',
  'expired',
  'wrong-usage',
  'unknown-agent',
  'revoked',
  'unlisted',
] as const
export type RefusalReason = (typeof refusalReasons)[number]

export type Judgement =
  | {
      readonly kind: 'admitted'
      readonly agentId: string
      readonly serialNumber: string
      /** When the connection must end. */
      readonly notAfterMs: number
      /** false: the state has forgotten it, and must list it before it is let in. */
      readonly isListed: boolean
    }
  | { readonly kind: 'refused'; readonly reason: RefusalReason; readonly message: string }

const clientAuth = '1.3.6.1.5.5.7.3.2'

export interface JudgeParts {
  readonly authority: Authority
  readonly world: World
  readonly nowMs: number
}

export function judgeCertificate(certificate: X509Certificate | undefined, parts: JudgeParts): Judgement {
  const { authority, world, nowMs } = parts
  if (certificate === undefined) return refuse('no-certificate', 'expected a client certificate')
  if (!authority.hasSigned(certificate)) {
    return refuse('wrong-authority', 'expected a certificate that this daemon has signed')
  }
  // When it begins is not asked: a clock that was ahead when we signed it would lock the agent out until then.
  const notAfterMs = certificate.validToDate.getTime()
  if (notAfterMs <= nowMs) {
    return refuse(
      'expired',
      `the certificate ended at ${certificate.validToDate.toISOString()}: enrol again with a new token`,
    )
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

function refuse(reason: RefusalReason, why: string): Judgement {
  return { kind: 'refused', reason, message: `Cannot connect as an agent: ${why}` }
}

/** Our certificates have nothing but a common name for their subject. */
function commonName(certificate: X509Certificate): string {
  return /^CN=([\w.-]+)$/.exec(certificate.subject)?.[1] ?? ''
}
