/**
 * Which stamps may be given out. A stamp must not be on any session when it becomes current for another ENI or policy,
 * or that session would pass unjudged. So a number is used once, and when all have been, those that no session in the
 * conntrack table carries any more are used again: sessions in use carry the current one from their next packet on, so
 * only sessions idle since the change keep an old one alive, and those are forgotten after the session timeout.
 */
import { markFields, type Stamps, stampCount } from '../../rules-compiler/nft/stamps.ts'

/** Marks, within the mask, of all sessions the kernel knows. */
export type ReadMarks = (ctMarkMask: number) => Promise<ReadonlySet<number>>

export class StampPool {
  readonly #ctMarkMask: number
  readonly #readMarks: ReadMarks
  /** Numbers that may be on some session, or are current; null until the kernel has been asked. */
  #taken: Set<number> | null = null

  constructor(ctMarkMask: number, readMarks: ReadMarks) {
    this.#ctMarkMask = ctMarkMask
    this.#readMarks = readMarks
  }

  /**
   * The current stamps with a new one for each key.
   * @throws {NoStampError} if there are not as many that no session carries
   */
  async renew(current: Stamps, keys: readonly string[]): Promise<Stamps> {
    if (keys.length === 0) return current
    let free = this.#free(keys.length)
    if (free.length < keys.length) {
      await this.#ask(current)
      free = this.#free(keys.length)
    }
    if (free.length < keys.length) throw new NoStampError(keys.length, free.length, this.#ctMarkMask)
    const next = new Map(current)
    keys.forEach((key, index) => {
      next.set(key, free[index]!)
      this.#taken?.add(free[index]!)
    })
    return next
  }

  #free(wanted: number): readonly number[] {
    const free: number[] = []
    if (this.#taken === null) return free
    for (let stamp = 1; stamp <= stampCount(this.#ctMarkMask) && free.length < wanted; stamp += 1) {
      if (!this.#taken.has(stamp)) free.push(stamp)
    }
    return free
  }

  async #ask(current: Stamps): Promise<void> {
    const fields = markFields(this.#ctMarkMask)
    const marks = await this.#readMarks(this.#ctMarkMask)
    this.#taken = new Set([...marks].flatMap(mark => [fields.entered.read(mark), fields.left.read(mark)]))
    for (const stamp of current.values()) this.#taken.add(stamp)
  }
}

export class NoStampError extends Error {
  constructor(wanted: number, free: number, ctMarkMask: number) {
    const mask = `0x${ctMarkMask.toString(16).padStart(8, '0')}`
    super(
      `Cannot mark sessions for judging again: ${wanted} stamps wanted, ${free} free of the ` +
        `${stampCount(ctMarkMask)} that settings.ctMarkMask "${mask}" holds; expected a mask with more bits, ` +
        'or idle sessions to end',
    )
    this.name = 'NoStampError'
  }
}
