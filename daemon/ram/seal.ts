/**
 * Secrets that must be read again, sealed: AES-256-GCM under a key that stands in a file of its own. The store or a
 * backup alone is useless, and so is the key.
 */
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { writeAtomically } from '../../common/files.ts'

export interface Sealer {
  /** @param purpose  what it is for, and whose: it opens for the same alone */
  seal(text: string, purpose: string): string
  /** @returns null where it was not sealed by this key for this purpose */
  open(sealed: string, purpose: string): string | null
}

const [keyBytes, nonceBytes, tagBytes] = [32, 12, 16]
const version = 'v1.'
const cipher = 'aes-256-gcm'

/** @param key  32 bytes */
export function createSealer(key: Uint8Array): Sealer {
  const secretKey = createSecretKey(key)
  return {
    seal(text, purpose) {
      const nonce = randomBytes(nonceBytes)
      const sealing = createCipheriv(cipher, secretKey, nonce).setAAD(Buffer.from(purpose))
      const parts = [nonce, sealing.update(text, 'utf8'), sealing.final()]
      return `${version}${Buffer.concat([...parts, sealing.getAuthTag()]).toString('base64url')}`
    },
    open(sealed, purpose) {
      if (!sealed.startsWith(version)) return null
      const written = sealed.slice(version.length)
      const bytes = Buffer.from(written, 'base64url')
      // Decoding passes over what is no base64url: one secret would have many texts.
      if (bytes.toString('base64url') !== written) return null
      if (bytes.length < nonceBytes + tagBytes) return null
      try {
        const opening = createDecipheriv(cipher, secretKey, bytes.subarray(0, nonceBytes))
          .setAAD(Buffer.from(purpose))
          .setAuthTag(bytes.subarray(-tagBytes))
        const text = opening.update(bytes.subarray(nonceBytes, -tagBytes))
        return Buffer.concat([text, opening.final()]).toString('utf8')
      } catch {
        return null
      }
    },
  }
}

/**
 * The key in a file, 64 hex digits; made where there is none.
 * @throws {Error} where what stands there is no key: a new one would make every secret useless
 */
export async function openSealer(path: string): Promise<Sealer> {
  const text = await readKey(path)
  if (text === null) {
    const key = randomBytes(keyBytes)
    await writeAtomically(path, `${key.toString('hex')}\n`)
    return createSealer(key)
  }
  if (!/^[0-9a-f]{64}\s*$/.test(text)) {
    throw new Error(`Cannot read secrets with "${path}": expected 64 hex digits; put back the file of a backup`)
  }
  return createSealer(Buffer.from(text.trim(), 'hex'))
}

async function readKey(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
