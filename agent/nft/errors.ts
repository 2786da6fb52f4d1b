/** Sorts what nft says when it refuses; only this file reads its stderr. */
import type { RunError } from '../../common/exec.ts'

export const nftErrorKinds = [
  'not-found',
  'exists',
  'busy',
  'permission',
  'unsupported',
  'syntax',
  'too-large',
  'timeout',
  'unknown',
] as const
export type NftErrorKind = (typeof nftErrorKinds)[number]

/**
 * nft did not do what it was asked.
 *
 *   not-found    an object, element or handle that the command names is missing; also an expression whose kernel
 *                module is missing, which the kernel reports alike
 *   exists       another object or element stands in the way: same name and other type, same key and other value,
 *                overlapping intervals, another hook or priority (1.0.6 says unsupported for these)
 *   busy         the object to delete is still referred to, or the kernel asks to try again
 *   permission   no right to change this network namespace
 *   unsupported  this nft or this kernel does not know the feature, or there is no nft
 *   syntax       the command makes no sense to nft
 *   too-large    a name, transaction, set or chain of jumps is beyond what the kernel takes
 *   timeout      nft did not end in time; whether the kernel took the transaction is unknown
 *   unknown      anything else
 */
export class NftError extends Error {
  readonly kind: NftErrorKind
  /** What nft wrote, or why it could not be run. */
  readonly stderr: string
  /** What was asked, in a few words. */
  readonly command: string

  constructor(kind: NftErrorKind, command: string, stderr: string, options?: ErrorOptions) {
    super(`nft refused "${command}": ${firstLine(stderr)} (${kind})`, options)
    this.name = 'NftError'
    this.kind = kind
    this.stderr = stderr
    this.command = command
  }
}

/** For nft that ended with an exit code other than 0. */
export function nftRefusal(command: string, stderr: string): NftError {
  return new NftError(sortStderr(stderr), command, stderr)
}

/** For nft that could not be run to its end. */
export function nftRunFailure(command: string, cause: RunError): NftError {
  switch (cause.kind) {
    case 'timeout':
      return new NftError('timeout', command, cause.message, { cause })
    case 'output-too-large':
      return new NftError('too-large', command, cause.message, { cause })
    case 'no-such-command':
      return new NftError('unsupported', command, `${cause.message}: install the package nftables`, { cause })
    case 'cannot-start':
    case 'killed':
      return new NftError('unknown', command, cause.message, { cause })
    default:
      return cause.kind satisfies never
  }
}

/**
 * Texts of nft 1.0.2 to 1.1 and of strerror(3) in the C locale; the first that matches decides. They count only in
 * nft's own error lines: a prefix command such as `ip netns exec` has a "No such file or directory" of its own, which
 * says nothing about a table.
 */
const patterns: readonly (readonly [RegExp, NftErrorKind])[] = [
  [/Operation not permitted|Permission denied|you must be root/, 'permission'],
  [/Operation not supported|Protocol not supported|Address family not supported|Not supported/i, 'unsupported'],
  [/Unknown (object|statement object|command object|expression type)|Invalid set flag/, 'unsupported'],
  [/Device or resource busy|Resource temporarily unavailable|Interrupted system call/, 'busy'],
  [/File exists|already exists|interval overlaps|conflicting intervals/, 'exists'],
  [/Message too long|No buffer space|Cannot allocate memory|Too many (links|open files)|Argument list/, 'too-large'],
  [/[Nn]ame too long|too long,? \d+ characters|Numerical result out of range|Value too large/, 'too-large'],
  [/syntax error|Parsing |must be an array|Object item not found|Invalid |cannot determine/, 'syntax'],
  [/No such file or directory|does not exist|No such device/, 'not-found'],
]

function sortStderr(stderr: string): NftErrorKind {
  const ownLines = stderr.split('\n').filter(line => /(^|: )Error: |you must be root/.test(line))
  const text = ownLines.join('\n')
  return patterns.find(([pattern]) => pattern.test(text))?.[1] ?? 'unknown'
}

/**
 * Extensions of iptables that nft has left out of a text listing, because it has not their libraries: `CONNMARK`. Each
 * once, in the order met.
 */
export function unprintableExtensions(stderr: string): readonly string[] {
  return [...new Set([...stderr.matchAll(/^XT (?:target|match) (\S+) not found$/gm)].map(([, name = '']) => name))]
}

/** Without the place JSON input has none of: `internal:0:0-0: Error: …`. */
function firstLine(stderr: string): string {
  const lines = stderr.split('\n')
  const line = lines.find(text => text.includes('Error: ')) ?? lines.find(text => text.trim() !== '') ?? 'no message'
  return line.replace(/^.*?Error: /, '').trim()
}
