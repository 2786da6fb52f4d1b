/**
 * The folder of a running lab: policy files, logs, and `lab.json`, by which `ringwall lab shell` and `lab status` find
 * it from another terminal. Its name carries pid and start time of the lab, so that a later run knows what was left.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HostName } from './fleet.ts'
import { startTime } from './netns.ts'
import type { Network } from './network.ts'

export interface LabState {
  /** Of the process that runs the lab: what users call a lab by. */
  readonly pid: number
  readonly folder: string
  /** Name of the namespace of each host. */
  readonly namespaces: Readonly<Record<HostName, string>>
}

const folderPrefix = 'ringwall-lab-'
const stateFile = 'lab.json'

/** A new folder for this process's lab; it is removed when the process ends, but not when it is killed. */
export function makeLabFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), `${folderPrefix}${process.pid}-${startTime(process.pid)}-`))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function writeLabState(folder: string, network: Network): void {
  const namespaces = Object.fromEntries([...network].map(([host, { name }]) => [host, name]))
  writeFileSync(join(folder, stateFile), JSON.stringify({ pid: process.pid, folder, namespaces }))
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
