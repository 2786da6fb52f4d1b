/** The book of observed ENIs on disk, whole before it takes its name. A disk that refuses costs what a restart forgets. */
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, writeAtomically } from '../../common/files.ts'
import type { Logger } from '../../common/log.ts'
import { type ObservedCount, type ObservedFlow, observedCauses } from '../../wire/observed.ts'
import {
  count,
  listOf,
  objectOf,
  ofFirstFormat,
  oneOf,
  type Reader,
  readJsonWith,
  refuse,
  text,
} from '../link/shape.ts'
import type { KeptEni } from './book.ts'

const fileName = 'observed.json'
const format = 1

const reason = { direction: oneOf(['ingress', 'egress']), cause: oneOf(observedCauses), packets: count }
const rule = { ruleId: text, securityGroupId: text }

const reading: Reader<readonly [string, number]> = value => {
  const [source, packets, ...more] = listOf<unknown>(each => each)(value)
  return more.length === 0 ? [text(source), count(packets)] : refuse('a counter and its reading')
}

const time: Reader<string> = value => {
  const said = text(value)
  return Number.isNaN(Date.parse(said)) ? refuse('a time') : said
}

const readBook = ofFirstFormat(
  objectOf<{ readonly enis: readonly KeptEni[] }>({
    enis: listOf(
      objectOf<KeptEni>({
        eniId: text,
        since: time,
        counts: listOf(objectOf<ObservedCount>(reason, rule)),
        readings: listOf(reading),
        flows: listOf(
          objectOf<ObservedFlow>(
            { ...reason, peer: text, protocol: text, firstTime: time, lastTime: time },
            { ...rule, port: count, icmpType: count, icmpCode: count },
          ),
        ),
        flowsLeftOut: count,
      }),
    ),
  }),
)

function textOf(enis: readonly KeptEni[]): string {
  return `${JSON.stringify({ format, enis })}\n`
}

export class KeptBook {
  readonly #folder: string
  readonly #path: string
  readonly #log: Logger
  #writing: Promise<void> = Promise.resolve()
  #written = ''
  #isRefused = false

  constructor(folder: string, log: Logger) {
    this.#folder = folder
    this.#path = join(folder, fileName)
    this.#log = log
  }

  /** Never throws: what is damaged is set aside, and there is nothing then. */
  async read(): Promise<readonly KeptEni[]> {
    let json: string
    try {
      json = await readFile(this.#path, 'utf8')
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT') this.#sayUnreadable(message)
      // Where nothing is kept there is no need of a file.
      else this.#written = textOf([])
      return []
    }
    const read = readJsonWith(readBook, json)
    if ('value' in read) return read.value.enis
    this.#sayUnreadable(read.fault)
    await rename(this.#path, `${this.#path}.bad`).catch(() => {})
    return []
  }

  /** One after the other; what is on disk already is not written again. Resolves when it is there, or is refused. */
  write(enis: readonly KeptEni[]): Promise<void> {
    const json = textOf(enis)
    this.#writing = this.#writing.then(() => this.#write(json))
    return this.#writing
  }

  async #write(json: string): Promise<void> {
    if (json === this.#written) return
    try {
      await makeFolder(this.#folder)
      await writeAtomically(this.#path, json)
      this.#written = json
      this.#isRefused = false
    } catch (error) {
      if (!this.#isRefused) {
        this.#log.error({ error }, 'cannot keep on disk what observed ENIs would have dropped; a restart forgets it')
      }
      this.#isRefused = true
    }
  }

  #sayUnreadable(reason: string): void {
    this.#log.warn(
      { path: this.#path, reason },
      'what is kept of observed ENIs cannot be read and is set aside; counting begins anew',
    )
  }
}
