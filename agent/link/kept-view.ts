/**
 * What a linked agent has on disk of what the daemon said, and how it found its way to it.
 *
 *   view.json    the whole view, with the number of the last update in it
 *   view.log     the updates since, one JSON value a line, numbered on from there
 *   view.behind  the log of a disk that could not take a further update; there is no view.log then
 *   link.json    addresses and device names, for while nobody can be asked for them
 *
 * The numbers are the agent's own, one for each update, so that a line tells whether it is in view.json already, follows,
 * or follows something that is missing: whatever the order in which the files came to be as they are, they mean one view.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, writeAtomically } from '../../common/files.ts'
import type { Position } from '../../wire/messages.ts'
import type { ViewObject } from '../../wire/view.ts'
import { readDelta, readViewObject } from './read-message.ts'
import { count, listOf, objectOf, ofFirstFormat, type Reader, readJsonWith, recordOf, text } from './shape.ts'
import { View, type ViewImage, type ViewUpdate } from './view.ts'

export type ViewDelta = Extract<ViewUpdate, { type: 'delta' }>

export interface KeptView {
  /** Without a position where there is none to be read. */
  readonly view: View
  /** The last number given to an update, as far as the disk tells. */
  readonly number: number
  readonly viewBytes: number
  /**
   * Open, to be gone on with. Null where what was read may be older than what stood in the kernel last: something is
   * missing or damaged, the disk could not take all there was, or it takes nothing now.
   */
  readonly log: { readonly file: FileHandle; readonly bytes: number } | null
  /** Why there is no log, in sentences; empty also where nothing was ever kept. */
  readonly faults: readonly string[]
}

interface ViewFile extends Position {
  readonly number: number
  readonly objects: readonly ViewObject[]
}

export interface LinkMemory {
  /** Addresses of the daemon, for while its name cannot be resolved. */
  readonly daemonAddresses: readonly string[]
  /** The last name of the device with each MAC address. */
  readonly deviceNames: Readonly<Record<string, string>>
}

export const viewFile = 'view.json'
export const logFile = 'view.log'
export const behindFile = 'view.behind'
const memoryFile = 'link.json'

const readViewFile = ofFirstFormat(
  objectOf<ViewFile>({ storeId: text, revision: count, number: count, objects: listOf(readViewObject) }),
)
const readNumber = objectOf<{ readonly number: number }>({ number: count })
const readLine: Reader<{ readonly number: number; readonly delta: ViewDelta }> = value => ({
  ...readNumber(value),
  delta: readDelta(value),
})
const readMemory = ofFirstFormat(objectOf<LinkMemory>({ daemonAddresses: listOf(text), deviceNames: recordOf(text) }))

/**
 * @returns its size in bytes
 * @throws {Error} if the disk refuses; what was there before stays whole
 */
export async function writeView(folder: string, image: ViewImage, number: number): Promise<number> {
  const { storeId, revision } = image
  const file: ViewFile = { storeId, revision, number, objects: image.objects() }
  return write(folder, viewFile, JSON.stringify(file))
}

/** One line of the log. */
export function formatLine(number: number, delta: ViewDelta): string {
  return `${JSON.stringify({ number, ...delta })}\n`
}

/** Never throws: a disk that cannot be read has nothing. */
export async function openKeptView(folder: string): Promise<KeptView> {
  const view = new View()
  const whole = await read(folder, viewFile, readViewFile)
  const faults = whole.fault === null ? [] : [whole.fault]
  const misfit = whole.value && view.apply({ type: 'snapshot', ...whole.value })
  if (misfit !== null) faults.push(`${viewFile}: ${misfit}`)
  const base = misfit === null ? whole.value : null

  const log = await openLog(folder)
  const bytes = log.file === null ? await readOrNothing(join(folder, behindFile)) : log.bytes
  const { number, wholeBytes, fault } = replay(bytes, view, base?.number ?? 0)
  if (base === null && faults.length === 0 && bytes.length > 0) faults.push(`${viewFile} is missing`)
  if (base !== null && fault !== null) faults.push(fault)
  // Where neither was ever written there is nothing to say.
  if (log.fault !== null && (base !== null || faults.length > 0 || bytes.length > 0)) faults.push(log.fault)

  const kept = { view, number, viewBytes: whole.bytes }
  const goesOn =
    base !== null && log.file !== null && faults.length === 0 && (await cutTail(log.file, wholeBytes, bytes))
  if (goesOn) return { ...kept, log: { file: log.file, bytes: wholeBytes }, faults }
  await log.file?.close()
  return { ...kept, log: null, faults }
}

/**
 * Applies what follows. A line that does not is where it ends: what comes after belongs to a view that is not known.
 * @param bytes  of the log; a last line without its end was never finished, and what it says never went further
 * @returns the highest number that the log or the view has, and the length of the lines that are whole
 */
function replay(bytes: Buffer, view: View, after: number) {
  const wholeBytes = bytes.lastIndexOf('\n') + 1
  const lines = bytes.toString('utf8', 0, wholeBytes).split('\n').slice(0, -1)
  let number = after
  let highest = after
  let fault: string | null = null
  for (const [index, line] of lines.entries()) {
    const read = readJsonWith(readLine, line)
    const unfit = 'fault' in read ? read.fault : follow(read.value)
    if ('value' in read) highest = Math.max(highest, read.value.number)
    if (unfit !== null) fault ??= `${logFile}, line ${index + 1}, and what comes after it: ${unfit}`
  }
  return { number: highest, wholeBytes, fault }

  function follow(line: { readonly number: number; readonly delta: ViewDelta }): string | null {
    if (line.number <= number || fault !== null) return null
    if (line.number !== number + 1) return `Cannot apply update ${line.number}: expected ${number + 1}`
    const unfit = view.apply(line.delta)
    if (unfit === null) number += 1
    return unfit
  }
}

/** Opened to be written, because a disk that takes nothing now may have taken nothing before. */
async function openLog(folder: string) {
  try {
    const file = await open(join(folder, logFile), constants.O_RDWR | constants.O_APPEND)
    return { file, bytes: await file.readFile(), fault: null }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return { file: null, bytes: nothing, fault: code === 'ENOENT' ? `${logFile} is missing` : message }
  }
}

async function cutTail(file: FileHandle, wholeBytes: number, bytes: Buffer): Promise<boolean> {
  if (wholeBytes === bytes.length) return true
  return file.truncate(wholeBytes).then(
    () => true,
    () => false,
  )
}

const nothing = Buffer.alloc(0)

function readOrNothing(path: string): Promise<Buffer> {
  return readFile(path).catch(() => nothing)
}

/** @throws {Error} if the disk refuses; what was there before stays whole */
export async function writeMemory(folder: string, memory: LinkMemory): Promise<void> {
  await write(folder, memoryFile, JSON.stringify(memory))
}

export async function readLinkMemory(folder: string): Promise<LinkMemory> {
  return (await read(folder, memoryFile, readMemory)).value ?? { daemonAddresses: [], deviceNames: {} }
}

async function write(folder: string, name: string, json: string): Promise<number> {
  await makeFolder(folder)
  await writeAtomically(join(folder, name), `${json}\n`)
  return Buffer.byteLength(json) + 1
}

/** What is missing or damaged is made anew from what the daemon says. */
async function read<T>(folder: string, name: string, reader: Reader<T>) {
  try {
    const json = await readFile(join(folder, name))
    const result = readJsonWith(reader, json.toString())
    const [value, fault] = 'value' in result ? [result.value, null] : [null, `${name}: ${result.fault}`]
    return { value, fault, bytes: json.length }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return { value: null, fault: code === 'ENOENT' ? null : message, bytes: 0 }
  }
}
