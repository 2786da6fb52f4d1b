/** Which bits of the conntrack mark a rule of somebody else writes and reads, as far as its text tells; pure. */

export interface MarkUse {
  /** Bits that may be another value afterwards. */
  readonly written: number
  /** Bits that decide whether it matches, or go into the packet's mark. */
  readonly read: number
}

const allBits = 0xffff_ffff
const none: MarkUse = { written: 0, read: 0 }

/**
 * @param rule  as nft prints it, numbers for names. What cannot be told, an expression that is new or a target of
 *              iptables, counts as all bits
 */
export function readMarkUse(rule: string): MarkUse {
  if (/\bCONNMARK\b/.test(rule)) return { written: /\brestore\b/.test(rule) ? 0 : allBits, read: allBits }
  const text = withSigns(rule.replace(/"[^"]*"/g, '""').replace(/[()]/g, ' '))
  if (!/\bct mark\b/.test(text)) return none
  const [before = '', assigned] = text.split(/\bct mark set\b/)
  return { written: assigned === undefined ? 0 : bitsWritten(assigned), read: bitsRead(before) }
}

/** Rules of iptables are printed with words. */
function withSigns(text: string): string {
  return text
    .replace(/ and (?=0x|\d)/g, ' & ')
    .replace(/ or (?=0x|\d)/g, ' | ')
    .replace(/ xor (?=0x|\d)/g, ' ^ ')
}

/** `ct mark & 0xffffff00 | 0x00000001`: what the masks leave of the mark stays, but for constants that are put in. */
function bitsWritten(expression: string): number {
  const mixesMore = /[|^]\s*(?!0x|\d)\w/.test(expression)
  if (!/\bct mark\b/.test(expression) || mixesMore) return allBits
  const kept = constantsAfter('&', expression).reduce((bits, mask) => bits & mask, allBits)
  return constantsAfter('|^', expression).reduce((bits, put) => (bits | put) >>> 0, ~kept >>> 0)
}

function constantsAfter(signs: string, text: string): readonly number[] {
  return [...text.matchAll(new RegExp(`[${signs}]\\s*(0x[0-9a-f]+|\\d+)\\b`, 'g'))].map(([, number]) => Number(number))
}

function bitsRead(text: string): number {
  return masksOf(text).reduce((bits, mask) => (bits | mask) >>> 0, 0)
}

/** Of each mention of the mark the bits that are looked at; a mask from the top is printed as a prefix, `0x00100000/12`. */
function masksOf(text: string): readonly number[] {
  const mentions = text.matchAll(/\bct mark\b(?: & (?<mask>0x[0-9a-f]+|\d+)\b| (?:!= )?0x[0-9a-f]+\/(?<bits>\d+))?/g)
  return [...mentions].map(({ groups: { mask, bits } = {} }) => {
    if (mask !== undefined) return Number(mask) >>> 0
    return bits === undefined || bits === '0' ? allBits : (allBits << (32 - Number(bits))) >>> 0
  })
}
