/** Keys with a set of values each; a key without values is not there. */
export class MultiMap {
  readonly #sets = new Map<string, Set<string>>()

  get(key: string): ReadonlySet<string> {
    return this.#sets.get(key) ?? none
  }

  add(key: string, value: string): void {
    const set = this.#sets.get(key)
    if (set === undefined) this.#sets.set(key, new Set([value]))
    else set.add(value)
  }

  delete(key: string, value: string): void {
    const set = this.#sets.get(key)
    if (set === undefined) return
    set.delete(value)
    if (set.size === 0) this.#sets.delete(key)
  }
}

const none: ReadonlySet<string> = new Set()
