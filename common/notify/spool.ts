/** Notifications that are not delivered yet, each in a file of its own. */
import { readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, writeAtomically } from '../files.ts'
import type { Notification } from './notification.ts'

export interface Spooled {
  readonly name: string
  readonly notification: Notification
}

export interface SpoolContents {
  /** In the order they were added. */
  readonly spooled: readonly Spooled[]
  /** Names of files that hold none, set aside. */
  readonly damaged: readonly string[]
}

export class Spool {
  readonly #folder: string
  #last = 0

  constructor(folder: string) {
    this.#folder = folder
  }

  /** To be called once, before anything is added. @throws {Error} where the folder cannot be made or read */
  async load(): Promise<SpoolContents> {
    await makeFolder(this.#folder)
    const spooled: Spooled[] = []
    const damaged: string[] = []
    for (const name of (await readdir(this.#folder)).sort()) {
      const [, number] = /^(\d{12})\.json$/.exec(name) ?? []
      // What a killed writer has left half.
      if (name.endsWith('.new')) await rm(join(this.#folder, name), { force: true })
      if (number === undefined) continue
      this.#last = Math.max(this.#last, Number(number))
      const notification = readNotification(await readFile(join(this.#folder, name), 'utf8'))
      if (notification !== null) spooled.push({ name, notification })
      else {
        await rename(join(this.#folder, name), join(this.#folder, `${name}.damaged`))
        damaged.push(`${name}.damaged`)
      }
    }
    return { spooled, damaged }
  }

  /** The name of the next one, for `write`; given out at once, so that names are in the order of the calls. */
  nextName(): string {
    this.#last += 1
    return `${String(this.#last).padStart(12, '0')}.json`
  }

  /** @throws {NodeJS.ErrnoException} nothing stands there then */
  async write(name: string, notification: Notification): Promise<void> {
    const path = join(this.#folder, name)
    try {
      await writeAtomically(path, `${JSON.stringify(notification)}\n`)
    } catch (error) {
      // A full disk must not be filled with halves.
      await rm(`${path}.new`, { force: true }).catch(() => {})
      throw error
    }
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.#folder, name), { force: true })
  }
}

const textFields = ['id', 'kind', 'time', 'instanceId', 'message'] as const

/** @returns null where the text is none; another version of Ringwall may have written it */
function readNotification(text: string): Notification | null {
  try {
    const value: unknown = JSON.parse(text)
    return isNotification(value) ? value : null
  } catch {
    return null
  }
}

function isNotification(value: unknown): value is Notification {
  return (
    isRecord(value) &&
    textFields.every(field => typeof value[field] === 'string') &&
    Array.isArray(value.addresses) &&
    value.addresses.every(address => typeof address === 'string') &&
    isRecord(value.details) &&
    isRecord(value.variables) &&
    Object.values(value.variables).every(variable => typeof variable === 'string')
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
