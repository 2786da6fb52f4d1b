/**
 * `ringwall agent check`, `ringwall daemon check`: what holds and from where, and whether the service would start. It looks
 * as the service's own user, writes nothing and starts nothing.
 */
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import type { Endpoint } from '../../common/config/formats.ts'
import type { Reading, ReadSetting } from '../../common/config/read.ts'
import type { ConfigDefinition, Settings, ValuesOf } from '../../common/config/setting.ts'
import { findWritable } from '../../common/files.ts'
import { checkCommand } from '../../common/notify/command.ts'
import { readSecretFile } from '../../common/notify/webhook.ts'
import { exitBadInput, type Io } from '../command.ts'
import { tableLines } from '../output/table.ts'
import { widthOf } from '../output/terminal.ts'
import { readServiceConfig, shownSetting, sourceOf } from '../service-config.ts'
import { findListeners, isOwnAddress, socketsOf } from './listeners.ts'

export interface CheckedService<S extends Settings> {
  readonly definition: ConfigDefinition<S>
  /** Which setting names the directory whose owner the service runs as, and where it is if that is left out. */
  readonly home: { readonly key: keyof S & string; readonly usual: string }
  /** The process of the service that runs already, by that directory; null where none does. */
  readonly findRunning: (folder: string) => Promise<number | null>
  /** What the settings name. Those that are faulty are left out. */
  readonly look: (settings: Known<S>, notes: Notes, running: Running | null) => Promise<void>
}

export interface Running {
  readonly pid: number
  /** Inodes; null where they cannot be seen. */
  readonly sockets: ReadonlySet<string> | null
}

export class Known<S extends Settings> {
  readonly #settings: ReadonlyMap<string, ReadSetting>

  constructor(settings: ReadonlyMap<string, ReadSetting>) {
    this.#settings = settings
  }

  /** Undefined where it is faulty; null where it is left out and has no default. */
  get<K extends keyof S & string>(key: K): ValuesOf<S>[K] | undefined {
    return this.#settings.get(key)?.value as ValuesOf<S>[K] | undefined
  }

  /** As in messages: the flag, the variable, the place in the file, or the key. */
  nameOf(key: keyof S & string): string {
    const { kind, name } = this.#settings.get(key)!.origin
    return kind === 'default' ? key : name
  }

  isFlag(key: keyof S & string): boolean {
    return this.#settings.get(key)?.origin.kind === 'flag'
  }
}

/** What was found, in the order found. */
export class Notes {
  readonly well: string[] = []
  readonly faults: string[] = []

  /** @param what  said where it succeeds, made of what the work gives; the message of its error is the fault */
  async try<T>(work: () => Promise<T> | T, what: (result: T) => string, name?: string): Promise<void> {
    try {
      this.well.push(what(await work()))
    } catch (error) {
      this.faults.push(`${name === undefined ? '' : `${name}: `}${(error as Error).message}`)
    }
  }
}

export async function checkService<S extends Settings>(
  { definition, home, findRunning, look }: CheckedService<S>,
  args: readonly string[],
  io: Io,
): Promise<number> {
  const asWeAre = await readServiceConfig(definition, args)
  const folder = (new Known<S>(asWeAre.settings).get(home.key) ?? home.usual) as string
  // Root sees what the service's user does not: files of a process in a user namespace of its own.
  const pid = await findRunning(folder)
  const running = pid === null ? null : { pid, sockets: socketsOf(pid) }
  const user = await becomeOwner(folder)
  const reading = await readServiceConfig(definition, args)
  const notes = new Notes()
  notes.faults.push(...reading.faults)
  await look(new Known(reading.settings), notes, running)

  const lines = [...settingLines(definition, reading, widthOf(io.stdout)), '']
  if (user !== null) lines.push(`looked at as ${user.name}, whose "${folder}" is`)
  for (const { name, meant } of reading.unknownVariables) {
    lines.push(`${name} is no setting${meant === null ? '' : `; is ${meant} meant?`}`)
  }
  io.stdout.write([...lines, ...notes.well].map(line => `${line}\n`).join(''))
  for (const fault of notes.faults) io.stderr.write(`${fault}\n`)
  if (user !== null && notes.faults.some(fault => /cannot (be )?read\b.*permission denied/i.test(fault))) {
    io.stderr.write(`What ${user.name} alone must be able to read: chgrp ${user.group} FILE; chmod 0640 FILE\n`)
  }
  if (notes.faults.length > 0) return exitBadInput
  io.stdout.write('no faults\n')
  return 0
}

function settingLines<S extends Settings>(
  { settings, file }: ConfigDefinition<S>,
  reading: Reading<S>,
  width: number,
): readonly string[] {
  const rows = Object.keys(settings).map(key => ({ key, setting: reading.settings.get(key) }))
  const table = tableLines(
    [
      { heading: 'SETTING', cell: ({ key }) => key, isWhole: true },
      { heading: 'VALUE', cell: ({ key, setting }) => valueText(settings, key, setting) },
      { heading: 'FROM', cell: ({ setting }) => (setting ? sourceOf(setting.origin) : '') },
    ],
    rows,
    width,
  )
  return [reading.file === null ? `no file is read (${file} if left out)` : `file: ${reading.file}`, '', ...table]
}

function valueText(settings: Settings, key: string, setting: ReadSetting | undefined): string {
  if (setting === undefined) return 'faulty'
  return setting.given === null ? '' : shownSetting({ settings }, key, setting)
}

/** Node has it, its types do not. */
const { initgroups: initGroups } = process as unknown as { initgroups(user: number, group: number): void }

/**
 * From here on this process is the owner of that directory, where root looks for a service that is not root: what root can
 * read and write says nothing. There is no way back, and none is needed.
 * @returns what the user is called, and a group of his; null where nothing changed
 */
async function becomeOwner(folder: string): Promise<{ readonly name: string; readonly group: string } | null> {
  if (process.getuid?.() !== 0) return null
  const owner = await stat(folder).catch(() => null)
  if (owner === null || owner.uid === 0) return null
  const { uid, gid } = owner
  try {
    initGroups.call(process, uid, gid)
  } catch {
    // No such user is known here.
    process.setgroups!([gid])
  }
  process.setgid!(gid)
  process.setuid!(uid)
  return { name: userName() ?? `user ${uid}`, group: groupName(gid) ?? String(gid) }
}

/** Null where this user has none. */
function userName(): string | null {
  try {
    return userInfo().username
  } catch {
    return null
  }
}

/** group(5): Node asks for names of users alone. */
function groupName(gid: number): string | null {
  try {
    const lines = readFileSync('/etc/group', 'utf8').split('\n')
    const [name = ''] = lines.map(line => line.split(':')).find(([, , id]) => id === String(gid)) ?? []
    return name || null
  } catch {
    return null
  }
}

export async function lookAtFolder(name: string, folder: string, notes: Notes): Promise<void> {
  const { there, fault } = await findWritable(folder)
  if (fault !== null) notes.faults.push(`${name} is "${folder}", where nothing can be written: "${there}": ${fault}`)
  else notes.well.push(there === folder ? `"${folder}" can be written` : `"${folder}" is made at the start`)
}

export interface Port {
  readonly name: string
  readonly endpoint: Endpoint
  readonly running: Running | null
}

/** Free, or held by the service itself. */
export function lookAtPort({ name, endpoint, running }: Port, notes: Notes): void {
  const { address, port } = endpoint
  const where = `${address.includes(':') ? `[${address}]` : address}:${port}`
  if (!isOwnAddress(address)) {
    notes.faults.push(`${name} is "${where}", which is no address of this host`)
    return
  }
  const inodes = findListeners(endpoint)
  if (inodes.length === 0) {
    notes.well.push(`${where} is free`)
    return
  }
  if (running?.sockets === null)
    notes.well.push(`${where} is taken, by the one that runs (pid ${running.pid}) as it seems`)
  else if (running !== null && inodes.some(inode => running.sockets?.has(inode))) {
    notes.well.push(`${where} is held by the one that runs (pid ${running.pid})`)
  } else notes.faults.push(`${name} is "${where}", where another process listens: expected a free port`)
}

type NotifySettings = {
  readonly command: readonly string[] | null | undefined
  readonly secretFile: string | null | undefined
}

export async function lookAtNotify(
  { command, secretFile }: NotifySettings,
  nameOf: (key: 'notifyCommand' | 'notifySecretFile') => string,
  notes: Notes,
): Promise<void> {
  if (command)
    await notes.try(
      () => checkCommand(command),
      () => `"${command[0]}" can be run`,
      nameOf('notifyCommand'),
    )
  if (secretFile) {
    const what = () => `"${secretFile}" holds a secret`
    await notes.try(() => readSecretFile(secretFile), what, nameOf('notifySecretFile'))
  }
}
