/**
 * Keys with a set of values each; a key without values is not there. Most keys have one value, and a set for each of a
 * hundred thousand of them would be most of a start's time: a value alone stands for itself.
 */
export class MultiMap {
  readonly #values = new Map<string, string | Set<string>>()

  get(key: string): ReadonlySet<string> {
    const values = this.#values.get(key)
    if (values === undefined) return none
    return typeof values === 'string' ? new Set([values]) : values
  }

  add(key: string, value: string): void {
    const values = this.#values.get(key)
    if (values === undefined) this.#values.set(key, value)
    else if (typeof values !== 'string') values.add(value)
    else if (values !== value) this.#values.set(key, new Set([values, value]))
  }

  delete(key: string, value: string): void {
    const values = this.#values.get(key)
    if (values === value) this.#values.delete(key)
    if (values === undefined || typeof values === 'string') return
    values.delete(value)
    if (values.size === 0) this.#values.delete(key)
  }
}

const none: ReadonlySet<string> = new Set()
