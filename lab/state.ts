/**
 * The folder of a running lab: the state and logs of daemon and agents, and `lab.json`, by which `ringwall lab shell` and `lab status` find
 * it from another terminal. Its name carries pid and start time of the lab, so that a later run knows what was left.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTime } from './netns.ts'
import type { Network } from './network.ts'

export interface LabState {
  /** Of the process that runs the lab: what users call a lab by. */
  readonly pid: number
  readonly folder: string
  /** Name of the namespace of each host. */
  readonly namespaces: Readonly<Record<string, string>>
  /** How `ringwall` commands and a browser reach the daemon from this machine. */
  readonly url: string
  readonly token: string
}

const folderPrefix = 'ringwall-lab-'
const stateFile = 'lab.json'

/** A new folder for this process's lab; it is removed when the process ends, but not when it is killed. */
export function makeLabFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), `${folderPrefix}${process.pid}-${startTime(process.pid)}-`))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function writeLabState(folder: string, network: Network, { url, token }: Pick<LabState, 'url' | 'token'>): void {
  const namespaces = Object.fromEntries([...network].map(([host, { name }]) => [host, name]))
  const state: LabState = { pid: process.pid, folder, namespaces, url, token }
  // The token is for whoever runs the lab, in a folder that is his alone.
  writeFileSync(join(folder, stateFile), JSON.stringify(state), { mode: 0o600 })
}

/** Labs running on this machine, of this user. */
export function runningLabs(): LabState[] {
  return labFolders()
    .filter(({ folder, alive }) => alive && existsSync(join(folder, stateFile)))
    .map(({ folder }) => JSON.parse(readFileSync(join(folder, stateFile), 'utf8')) as LabState)
}

export function removeStaleFolders(): void {
  for (const { folder, alive } of labFolders()) {
    if (!alive) rmSync(folder, { recursive: true, force: true })
  }
}

/** Only our own: anybody can make a folder of this name in a shared temporary folder, and we run what it says. */
function labFolders(): { folder: string; alive: boolean }[] {
  return readdirSync(tmpdir()).flatMap(name => {
    const match = new RegExp(`^${folderPrefix}(\\d+)-(\\d+)-`).exec(name)
    const folder = join(tmpdir(), name)
    if (match === null || statSync(folder, { throwIfNoEntry: false })?.uid !== process.getuid!()) return []
    return [{ folder, alive: startTime(Number(match[1])) === match[2] }]
  })
}
