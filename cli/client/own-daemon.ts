/** The daemon of this host as its own settings have it, for commands that are told of none. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Listen } from '../../common/config/formats.ts'
import { defaultDataDir } from '../../daemon/data-dir.ts'

export interface OwnDaemon {
  readonly url: URL
  /** SHA-256 of the certificate it serves with, in hex; null without, or where the file cannot be read. */
  readonly fingerprint: string | null
  /** Where the token of its first start is, for root. */
  readonly firstTokenPath: string
}

export const defaultUrl = 'http://127.0.0.1:9480'
const file = '/etc/ringwall/daemon.yaml'

type Environment = Readonly<Record<string, string | undefined>>

/** As the file and the variables of the daemon say; as the defaults are where there is neither. A faulty setting counts as left out. */
export async function findOwnDaemon(env: Environment): Promise<OwnDaemon> {
  const settings = await readSettings(env)
  const setting = <T>(key: string) => (settings?.get(key)?.value ?? null) as T | null
  const certificateFile = setting<string>('tlsCertificate')
  const listen = setting<Listen>('listen')
  return {
    url: new URL(listen === null ? defaultUrl : urlOf(listen, certificateFile !== null)),
    fingerprint: certificateFile === null ? null : await fingerprintIn(certificateFile),
    firstTokenPath: join(setting<string>('dataDir') ?? defaultDataDir, 'first-token'),
  }
}

/** The schema is loaded on hosts of a daemon alone. */
async function readSettings(environment: Environment) {
  if (!existsSync(file) && !Object.keys(environment).some(name => name.startsWith('RINGWALL_DAEMON_'))) return null
  const [{ readConfig }, { daemonConfig }] = await Promise.all([
    import('../../common/config/read.ts'),
    import('../../daemon/config.ts'),
  ])
  return (await readConfig(daemonConfig, { flags: new Map(), environment, folder: process.cwd() })).settings
}

function urlOf(listen: Listen, hasTls: boolean): string {
  if (listen.kind === 'unix') return `unix:${listen.path}`
  const address = { '0.0.0.0': '127.0.0.1', '::': '::1' }[listen.address] ?? listen.address
  return `${hasTls ? 'https' : 'http'}://${address.includes(':') ? `[${address}]` : address}:${listen.port}`
}

async function fingerprintIn(file: string): Promise<string | null> {
  try {
    const { X509Certificate } = await import('node:crypto')
    return new X509Certificate(await readFile(file)).fingerprint256.replaceAll(':', '').toLowerCase()
  } catch {
    return null
  }
}
