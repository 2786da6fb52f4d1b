/** What the settings of an agent name. */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { agentConfig, defaultPolicyFile } from '../../agent/config.ts'
import { defaultStateDir, readCredentials } from '../../agent/link/credentials.ts'
import { checkIssued, parseCertificate } from '../../agent/link/keys.ts'
import { findHolder } from '../../agent/lock.ts'
import { compile } from '../../rules-compiler/nft/compile.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { InputError, type Io, loadPolicy } from '../command.ts'
import { count } from '../output/values.ts'
import { checkService, type Known, lookAtFolder, lookAtNotify, lookAtPort, type Notes } from './service.ts'

type Settings = (typeof agentConfig)['settings']

export async function checkAgent(args: readonly string[], io: Io): Promise<number> {
  return checkService(
    {
      definition: agentConfig,
      home: { key: 'stateDir', usual: defaultStateDir },
      async findRunning() {
        const holder = await findHolder()
        return holder?.role === 'agent' ? holder.pid : null
      },
      async look(known, notes, running) {
        await lookAtSource(known, notes, io)
        const endpoint = known.get('metricsAddress')
        if (endpoint !== undefined && endpoint !== 'none') {
          lookAtPort({ name: known.nameOf('metricsAddress'), endpoint, running }, notes)
        }
        const notify = { command: known.get('notifyCommand'), secretFile: known.get('notifySecretFile') }
        await lookAtNotify(notify, key => known.nameOf(key), notes)
      },
    },
    args,
    io,
  )
}

/** The same order as find-source.ts has. */
async function lookAtSource(known: Known<Settings>, notes: Notes, io: Io): Promise<void> {
  const policy = known.get('policy')
  const stateDir = known.get('stateDir')
  if (policy === undefined || stateDir === undefined) return
  const folder = stateDir ?? defaultStateDir
  if (policy !== null) {
    if (!known.isFlag('policy') || stateDir !== null) await lookAtFolder(known.nameOf('stateDir'), folder, notes)
    await lookAtPolicy(policy, notes, io)
    return
  }
  await lookAtFolder(known.nameOf('stateDir'), folder, notes)
  const credentials = await readCredentials(folder).catch((error: Error) => error)
  if (credentials instanceof Error) notes.faults.push(credentials.message)
  else if (credentials !== null) await lookAtCredentials(folder, credentials, notes)
  else if (await isThere(defaultPolicyFile)) await lookAtPolicy(defaultPolicyFile, notes, io)
  else {
    const places = `no credentials in "${folder}", no "${defaultPolicyFile}"`
    notes.faults.push(`nobody leads this host: expected policy, or "ringwall agent join" (${places})`)
  }
}

async function lookAtPolicy(path: string, notes: Notes, io: Io): Promise<void> {
  try {
    const ir = resolvePolicy(await loadPolicy(path, io))
    compile(ir)
    notes.well.push(`led by the policy file "${path}", which is sound: ${count(ir.enis.length, 'ENI')}`)
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    notes.faults.push(...error.faults.map(fault => (fault.includes(path) ? fault : `${path}: ${fault}`)))
  }
}

async function lookAtCredentials(
  folder: string,
  {
    daemonUrl,
    agentId,
    certificate,
    privateKey,
    caCertificate,
  }: NonNullable<Awaited<ReturnType<typeof readCredentials>>>,
  notes: Notes,
): Promise<void> {
  const what = () => {
    const until = parseCertificate(certificate)!.validToDate.toISOString()
    return `led by the daemon at ${daemonUrl} as agent ${agentId}; its certificate is good until ${until}`
  }
  const name = join(folder, 'credentials.json')
  await notes.try(() => checkIssued(certificate, { privateKey }, caCertificate, new Date()), what, name)
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
