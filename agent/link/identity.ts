/** Who the agent is to its daemon: its credentials, and how they are renewed before the certificate runs out. */
import { X509Certificate } from 'node:crypto'
import type { ToDaemon } from '../../wire/messages.ts'
import { type Credentials, writeCredentials } from './credentials.ts'
import { checkIssued, type KeyPair, makeKey, proveKey } from './keys.ts'

export class Identity {
  readonly #stateDir: string
  #credentials: Credentials
  #certificate: X509Certificate
  /** The key a certificate was asked for; forgotten when it is there, or asked for again. */
  #asked: KeyPair | null = null
  /** By how much the daemon's clock is ahead of this host's: that one decides what is good. */
  #daemonAheadMs = 0

  /** @throws {Error} if the certificate is none */
  constructor(stateDir: string, credentials: Credentials) {
    this.#stateDir = stateDir
    this.#credentials = credentials
    this.#certificate = new X509Certificate(credentials.certificate)
  }

  get credentials(): Credentials {
    return this.#credentials
  }

  /** Milliseconds since 1970. */
  get expiresAtMs(): number {
    return this.#certificate.validToDate.getTime()
  }

  /** @param daemonMs  what its clock says, milliseconds since 1970, while this host's says `nowMs` */
  noteClock(daemonMs: number, nowMs: number): void {
    this.#daemonAheadMs = daemonMs - nowMs
  }

  /** By the daemon's clock; 0 or less where the certificate has run out. */
  lifeLeftMs(nowMs: number): number {
    return this.expiresAtMs - nowMs - this.#daemonAheadMs
  }

  /** Of the certificate, from its beginning to its end. */
  get lifeMs(): number {
    return this.expiresAtMs - this.#certificate.validFromDate.getTime()
  }

  /** Until half of the certificate's life is over, by the daemon's clock; 0 or less from then on. */
  renewInMs(nowMs: number): number {
    return this.lifeLeftMs(nowMs) - this.lifeMs / 2
  }

  /** Makes a new key; the one in use stays until the daemon has answered. */
  askRenewal(): Extract<ToDaemon, { type: 'renew' }> {
    this.#asked = makeKey()
    const { publicKey } = this.#asked
    return { type: 'renew', publicKey, proof: proveKey(this.#asked, this.#credentials.agentId) }
  }

  /**
   * On disk before it is used: a certificate that was used makes the daemon forget the one before.
   * @throws {Error} if it is not what was asked for, or the disk refuses; the old one stays in use then
   */
  async takeRenewed(certificate: string): Promise<void> {
    const asked = this.#asked
    if (asked === null) throw new Error('Cannot use the certificate that the daemon gave: none was asked for')
    checkIssued(certificate, asked, this.#credentials.caCertificate)
    const next = { ...this.#credentials, privateKey: asked.privateKey, certificate }
    await writeCredentials(this.#stateDir, next)
    this.#credentials = next
    this.#certificate = new X509Certificate(certificate)
    this.#asked = null
  }
}
