/** Ids of new objects: as the client wishes, or made here. */
import { randomInt } from 'node:crypto'
import { ApiError } from '../errors.ts'
import type { Kind } from '../model/documents.ts'
import type { World } from '../state/world.ts'

const prefixes = {
  group: 'sg-',
  prefixList: 'pl-',
  portRangeList: 'prl-',
  instance: 'i-',
  eni: 'eni-',
  agent: 'agent-',
  enrolment: 'enrol-',
  token: 'token-',
} as const satisfies Partial<Record<Kind, string>>

export type MadeKind = keyof typeof prefixes

/** What an id of each kind looks like; they become parts of nft names and of file names. */
export function idPattern(kind: MadeKind): string {
  return `^${prefixes[kind]}[A-Za-z0-9_.-]{1,${63 - prefixes[kind].length}}$`
}

export function idWords(kind: MadeKind): string {
  const prefix = prefixes[kind]
  return `"${prefix}", then 1 to ${63 - prefix.length} letters of a to z, digits, "_", "." and "-"`
}

/**
 * @param given  the client's wish, in the right form by the schema of the request
 * @throws {ApiError} 409 where it is taken
 */
export function newId(world: World, kind: MadeKind, given: string | undefined, field: string): string {
  if (given === undefined) return madeId(kind)
  if (world.get(kind, given) === undefined) return given
  const message = `Cannot use id "${given}": expected one that is not taken`
  throw new ApiError(409, 'IdAlreadyExists', message, {
    errors: [{ code: 'duplicate', field, message, value: given }],
  })
}

/** 17 characters of 36: no two are the same by chance. */
export function madeId(kind: MadeKind | keyof typeof partPrefixes): string {
  return `${{ ...prefixes, ...partPrefixes }[kind]}${randomText(17)}`
}

/** Of what is a part of an object. */
const partPrefixes = { rule: 'sgr-', order: 'order-' } as const

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789'

function randomText(length: number): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('')
}
