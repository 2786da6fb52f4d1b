/** What the settings of the daemon name. */
import { access, constants, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { findWritable } from '../../common/files.ts'
import { daemonConfig } from '../../daemon/config.ts'
import { defaultDataDir } from '../../daemon/data-dir.ts'
import { findLockHolders } from '../../daemon/store/lock-holders.ts'
import type { Io } from '../command.ts'
import { assertPair, leafIn } from '../tls-pair.ts'
import { findOpener } from './listeners.ts'
import { checkService, type Known, lookAtFolder, lookAtNotify, lookAtPort, type Notes } from './service.ts'

type Settings = (typeof daemonConfig)['settings']

/** sun_path of unix(7), with the zero at its end. */
const mostSocketPath = 107

export async function checkDaemon(args: readonly string[], io: Io): Promise<number> {
  return checkService(
    {
      definition: daemonConfig,
      home: { key: 'dataDir', usual: defaultDataDir },
      async findRunning(folder) {
        const store = join(folder, 'store.db')
        // On some file systems /proc/locks does not name the file.
        return findLockHolders(store)[0]?.pid ?? findOpener(store)
      },
      async look(known, notes, running) {
        await lookAtData(known, notes)
        await lookAtCertificate(known, notes)
        const listen = known.get('listen')
        if (listen?.kind === 'tcp') lookAtPort({ name: known.nameOf('listen'), endpoint: listen, running }, notes)
        if (listen?.kind === 'unix') await lookAtSocket(known.nameOf('listen'), listen.path, notes)
        const endpoint = known.get('agentListen')
        if (endpoint !== undefined) lookAtPort({ name: known.nameOf('agentListen'), endpoint, running }, notes)
        const notify = { command: known.get('notifyCommand'), secretFile: known.get('notifySecretFile') }
        await lookAtNotify(notify, key => known.nameOf(key), notes)
      },
    },
    args,
    io,
  )
}

async function lookAtData(known: Known<Settings>, notes: Notes): Promise<void> {
  const dataDir = known.get('dataDir')
  if (dataDir === undefined) return
  await lookAtFolder(known.nameOf('dataDir'), dataDir, notes)
  const store = join(dataDir, 'store.db')
  const error = await access(store, constants.R_OK | constants.W_OK).catch((thrown: NodeJS.ErrnoException) => thrown)
  if (error && error.code !== 'ENOENT') notes.faults.push(`${known.nameOf('dataDir')}: ${error.message}`)
}

async function lookAtSocket(name: string, path: string, notes: Notes): Promise<void> {
  const folder = dirname(path)
  const { there, fault } = await findWritable(folder)
  if (Buffer.byteLength(path) > mostSocketPath) {
    notes.faults.push(`${name} is a path of ${Buffer.byteLength(path)} bytes, expected ${mostSocketPath} at most`)
  } else if (there !== folder) notes.faults.push(`${name} is "${path}": there is no directory "${folder}"`)
  else if (fault !== null) notes.faults.push(`${name} is "${path}", where nothing can be written: ${fault}`)
  else notes.well.push(`the socket "${path}" can be made`)
}

async function lookAtCertificate(known: Known<Settings>, notes: Notes): Promise<void> {
  const [certificateFile, keyFile] = [known.get('tlsCertificate'), known.get('tlsKey')]
  const certificate = certificateFile ? await readPem(known.nameOf('tlsCertificate'), certificateFile, notes) : null
  const key = keyFile ? await readPem(known.nameOf('tlsKey'), keyFile, notes) : null
  if (certificate !== null) {
    await notes.try(
      () => leafIn(certificate),
      leaf => `the certificate of the REST API is good until ${leaf.validToDate.toISOString()}`,
      certificateFile!,
    )
  }
  if (certificate !== null && key !== null) {
    await notes.try(
      () => assertPair(certificate, key),
      () => 'certificate and key fit together',
      `${certificateFile}, ${keyFile}`,
    )
  }
}

async function readPem(name: string, path: string, notes: Notes): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    notes.faults.push(`${name} is "${path}", which cannot be read: ${(error as Error).message}`)
    return null
  }
}
