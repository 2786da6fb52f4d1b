/** What a linked agent keeps besides the last good policy: the view it was made from, and how it found its way. */
import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../../common/files.ts'
import type { Position } from '../../wire/messages.ts'
import type { ViewObject } from '../../wire/view.ts'
import { readViewObject } from './read-message.ts'
import { count, listOf, objectOf, type Reader, readJsonWith, recordOf, text } from './shape.ts'
import type { ViewImage } from './view.ts'

export interface KeptView extends Position {
  readonly objects: readonly ViewObject[]
}

interface ViewFile extends KeptView {
  /** Hex, of the policy text that was written before it. */
  readonly policySha256: string
}

export interface LinkMemory {
  /** Addresses of the daemon, for while its name cannot be resolved. */
  readonly daemonAddresses: readonly string[]
  /** The last name of the device with each MAC address. */
  readonly deviceNames: Readonly<Record<string, string>>
}

const viewFile = 'view.json'
const memoryFile = 'link.json'

const readViewFile = objectOf<ViewFile>({
  storeId: text,
  revision: count,
  policySha256: text,
  objects: listOf(readViewObject),
})
const readMemory = objectOf<LinkMemory>({ daemonAddresses: listOf(text), deviceNames: recordOf(text) })

/** @throws {Error} if the disk refuses; what was there before stays whole */
export async function writeView(stateDir: string, image: ViewImage, policyText: string): Promise<void> {
  const { storeId, revision } = image
  const file: ViewFile = { storeId, revision, policySha256: sha256(policyText), objects: image.objects() }
  await write(stateDir, viewFile, JSON.stringify(file))
}

/**
 * The view that the policy was made from.
 * @param policyText  that is on disk: a view that belongs to another is older or newer than what stands in the kernel
 * @returns null where there is none that belongs to it
 */
export async function readView(stateDir: string, policyText: string): Promise<KeptView | null> {
  const file = await read(stateDir, viewFile, readViewFile)
  return file?.policySha256 === sha256(policyText) ? file : null
}

/** @throws {Error} if the disk refuses; what was there before stays whole */
export function writeMemory(stateDir: string, memory: LinkMemory): Promise<void> {
  return write(stateDir, memoryFile, JSON.stringify(memory))
}

export async function readLinkMemory(stateDir: string): Promise<LinkMemory> {
  return (await read(stateDir, memoryFile, readMemory)) ?? { daemonAddresses: [], deviceNames: {} }
}

async function write(stateDir: string, name: string, json: string): Promise<void> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  await writeAtomically(join(stateDir, name), `${json}\n`)
}

/** What is missing or damaged is made anew from what the daemon says. */
async function read<T>(stateDir: string, name: string, reader: Reader<T>): Promise<T | null> {
  try {
    const result = readJsonWith(reader, await readFile(join(stateDir, name), 'utf8'))
    return 'value' in result ? result.value : null
  } catch {
    return null
  }
}

function sha256(policyText: string): string {
  return createHash('sha256').update(policyText).digest('hex')
}
