/**
 * Which stamps may be given out. A stamp must not be on any session when it becomes current for another ENI or policy,
 * or that session would pass unjudged. So a number is used once, and when all have been, those that no session in the
 * conntrack table carries any more are used again: sessions in use carry the current one from their next packet on, so
 * only sessions idle since the change keep an old one alive, and those are forgotten after the session timeout.
 */
import { markFields, type Stamps, stampCount } from '../../rules-compiler/nft/stamps.ts'

/** Marks, within the mask, of all sessions the kernel knows. */
export type ReadMarks = (ctMarkMask: number) => Promise<ReadonlySet<number>>

export interface Renewed {
  readonly stamps: Stamps
  /** The keys left without a stamp, and why; null where all have one. */
  readonly lacking: { readonly keys: readonly string[]; readonly reason: string } | null
}

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
   * The current stamps with a new one for each key, as far as there are numbers that no session carries. A key for
   * which there is none loses its stamp: its sessions are judged packet by packet then, slower but never more open.
   */
  async renew(current: Stamps, keys: readonly string[]): Promise<Renewed> {
    if (keys.length === 0) return { stamps: current, lacking: null }
    let free = this.#free(keys.length)
    let reason = ''
    if (free.length < keys.length) {
      reason = await this.#ask(current)
      free = this.#free(keys.length)
    }
    const stamps = new Map(current)
    for (const key of keys) stamps.delete(key)
    keys.slice(0, free.length).forEach((key, index) => {
      stamps.set(key, free[index]!)
      this.#taken?.add(free[index]!)
    })
    const without = keys.slice(free.length)
    return { stamps, lacking: without.length === 0 ? null : { keys: without, reason } }
  }

  #free(wanted: number): readonly number[] {
    const free: number[] = []
    if (this.#taken === null) return free
    for (let stamp = 1; stamp <= stampCount(this.#ctMarkMask) && free.length < wanted; stamp += 1) {
      if (!this.#taken.has(stamp)) free.push(stamp)
    }
    return free
  }

  /** @returns what to tell where there are not enough numbers now */
  async #ask(current: Stamps): Promise<string> {
    const fields = markFields(this.#ctMarkMask)
    try {
      const marks = await this.#readMarks(this.#ctMarkMask)
      this.#taken = new Set([...marks].flatMap(mark => [fields.entered.read(mark), fields.left.read(mark)]))
      for (const stamp of current.values()) this.#taken.add(stamp)
    } catch (error) {
      this.#taken = null
      return (error as Error).message
    }
    const mask = `0x${this.#ctMarkMask.toString(16).padStart(8, '0')}`
    const count = stampCount(this.#ctMarkMask)
    return `live sessions carry all ${count} numbers of settings.ctMarkMask "${mask}"; expected a mask with more bits, or idle sessions to end`
  }
}
