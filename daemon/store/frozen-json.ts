/** Parsed JSON that several readers may share: whoever tries to change it gets a TypeError. */

/** @throws {SyntaxError} where the text is not JSON */
export function parseFrozen(text: string): unknown {
  const value: unknown = JSON.parse(text)
  // With a list of its own in place of recursion: no depth that JSON.parse takes can overflow the stack here.
  const pending: unknown[] = [value]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (typeof next !== 'object' || next === null) continue
    Object.freeze(next)
    for (const member of Array.isArray(next) ? next : Object.values(next)) {
      if (typeof member === 'object' && member !== null) pending.push(member)
    }
  }
  return value
}
