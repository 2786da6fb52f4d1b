/** Node itself, as npm has it for the processor wanted, without what only a debugger reads. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface NodeRelease {
  readonly version: string
  readonly binary: Buffer
  /** Of Node and of what is linked into it. */
  readonly licence: string
}

/**
 * The release that package-lock.json names: from node_modules where it is this machine's, otherwise from the registry,
 * checked against the lock file and kept.
 * @param npmArchitecture  x64 or arm64
 */
export async function findNode(project: string, npmArchitecture: 'x64' | 'arm64'): Promise<NodeRelease> {
  const name = `node-linux-${npmArchitecture}`
  const lock = JSON.parse(await readFile(join(project, 'package-lock.json'), 'utf8'))
  const { version, integrity } = lock.packages[`node_modules/${name}`] as { version: string; integrity: string }
  const installed = join(project, 'node_modules', name)
  const fetched = join(project, 'node_modules/.cache/node-binaries', `${name}-${version}`)
  const folder = existsSync(join(installed, 'bin/node')) ? installed : fetched
  if (!existsSync(folder)) await fetchPackage(`${name}@${version}`, integrity, fetched)
  const [binary, licence] = await Promise.all([
    readFile(join(folder, 'bin/node')),
    readFile(join(folder, 'LICENSE'), 'utf8'),
  ])
  return { version, binary: withoutSymbols(binary), licence }
}

async function fetchPackage(name: string, integrity: string, folder: string): Promise<void> {
  await mkdir(join(folder, '..'), { recursive: true })
  const made = await mkdtemp(`${folder}.`)
  try {
    const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', made, name])
    const tarball = join(made, stdout.trim())
    const actual = `sha512-${createHash('sha512')
      .update(await readFile(tarball))
      .digest('base64')}`
    if (actual !== integrity)
      throw new Error(`Cannot take ${name}: its hash is "${actual}", expected "${integrity}" (package-lock.json)`)
    await run('tar', ['-xzf', tarball, '-C', made])
    await rename(join(made, 'package'), folder)
  } finally {
    await rm(made, { recursive: true, force: true })
  }
}

/** Fields of ELF's 64-bit form, elf(5): offset in the header of the file, or of a section. */
const header = { sections: 0x28, sectionSize: 0x3a, sectionCount: 0x3c, nameSection: 0x3e } as const
const section = { type: 0x04, flags: 0x08, offset: 0x18, size: 0x20 } as const
const allocated = 2n
const noBits = 8

/**
 * What strip(1) does, for any processor and the same on every machine: only sections that are loaded are kept, and the
 * names of sections. Whatever is loaded stays where it is in the file.
 * @throws {Error} where a section that is loaded comes after one that is not
 */
export function withoutSymbols(elf: Buffer): Buffer {
  if (elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2 || elf[5] !== 1)
    throw new Error('Cannot shorten Node: expected a 64-bit little-endian ELF file')
  const table = Number(elf.readBigUInt64LE(header.sections))
  const size = elf.readUInt16LE(header.sectionSize)
  const count = elf.readUInt16LE(header.sectionCount)
  const entries = Array.from({ length: count }, (_, index) =>
    elf.subarray(table + index * size, table + (index + 1) * size),
  )
  const isKept = (entry: Buffer, index: number) =>
    index === 0 || (entry.readBigUInt64LE(section.flags) & allocated) !== 0n
  const kept = entries.filter(isKept)
  if (!entries.slice(0, kept.length).every(isKept))
    throw new Error('Cannot shorten Node: sections that are loaded are expected to come first')
  const placeOf = (entry: Buffer) => ({
    offset: Number(entry.readBigUInt64LE(section.offset)),
    size: entry.readUInt32LE(section.type) === noBits ? 0 : Number(entry.readBigUInt64LE(section.size)),
  })
  const end = Math.max(...kept.map(placeOf).map(place => place.offset + place.size))
  const nameEntry = Buffer.from(entries[elf.readUInt16LE(header.nameSection)]!)
  const names = placeOf(nameEntry)
  nameEntry.writeBigUInt64LE(BigInt(end), section.offset)
  const tableStart = Math.ceil((end + names.size) / 8) * 8
  const start = Buffer.from(elf.subarray(0, end))
  start.writeBigUInt64LE(BigInt(tableStart), header.sections)
  start.writeUInt16LE(kept.length + 1, header.sectionCount)
  start.writeUInt16LE(kept.length, header.nameSection)
  const padding = Buffer.alloc(tableStart - end - names.size)
  return Buffer.concat([start, elf.subarray(names.offset, names.offset + names.size), padding, ...kept, nameEntry])
}
