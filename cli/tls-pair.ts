/** The certificate of the REST API and its key, before anything is served with them. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'

/** @throws {Error} unless the first certificate of the chain is one, and in its time */
export function leafIn(pem: string, now = new Date()): X509Certificate {
  let leaf: X509Certificate
  try {
    leaf = new X509Certificate(pem)
  } catch (cause) {
    throw new Error('it holds no certificate in PEM', { cause })
  }
  const { validFromDate, validToDate } = leaf
  if (now < validFromDate)
    throw new Error(`not valid before ${validFromDate.toISOString()}, and it is ${now.toISOString()}`)
  if (now > validToDate) throw new Error(`not valid after ${validToDate.toISOString()}, and it is ${now.toISOString()}`)
  return leaf
}

/** @throws {Error} unless TLS takes the two together */
export function assertPair(certificate: string, key: string): void {
  let isOwn: boolean
  try {
    isOwn = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))
  } catch (cause) {
    throw new Error(`no pair in PEM: ${(cause as Error).message}`, { cause })
  }
  if (!isOwn) throw new Error('the key is of another certificate')
  createSecureContext({ cert: certificate, key, minVersion: 'TLSv1.2' })
}
