/** Shapes that many answers and requests of the RPC API have in common. */
import Type, { type Static } from 'typebox'
import { ApiError } from '../errors.ts'
import type { Tags } from '../model/documents.ts'
import { coded } from './read-parameters.ts'

/** Times are UTC without fractions. */
export function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** Of ECS; some fields have minutes alone. */
export function isoMinutes(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16)}Z`
}

export function tagList(tags: Tags): { readonly TagKey: string; readonly TagValue: string }[] {
  return Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }))
}

const mostTags = 20

/** `Tag.1.Key`, `Tag.1.Value`. */
export const tagParameters = {
  Tag: Type.Optional(
    Type.Array(
      Type.Object({
        Key: coded('InvalidTagKey.Malformed', Type.String({ minLength: 1, maxLength: 128 })),
        Value: Type.Optional(coded('InvalidTagValue.Malformed', Type.String({ maxLength: 128, default: '' }))),
      }),
      { maxItems: mostTags },
    ),
  ),
}
const tagsObject = Type.Object(tagParameters)
export type AskedTags = Static<typeof tagsObject>['Tag']

/** @throws {ApiError} 400 for names that are reserved or stand twice */
export function readTags(asked: AskedTags): Tags {
  const tags: Record<string, string> = {}
  for (const { Key, Value = '' } of asked ?? []) {
    if (/^(aliyun|acs:)/i.test(Key) || /https?:\/\//.test(Key)) {
      const expected = 'one that does not begin with aliyun or acs:, nor holds http://'
      throw new ApiError(400, 'InvalidTagKey.Malformed', `Cannot use tag "${Key}": expected ${expected}`)
    }
    if (/https?:\/\//.test(Value)) {
      throw new ApiError(400, 'InvalidTagValue.Malformed', `Cannot use the value of tag "${Key}": it holds http://`)
    }
    if (Object.hasOwn(tags, Key)) throw new ApiError(400, 'Duplicate.TagKey', `Cannot use tag "${Key}" twice`)
    Object.defineProperty(tags, Key, { value: Value, enumerable: true, configurable: true, writable: true })
  }
  return tags
}

/** Whether an object has every tag asked for; one without value asks for its name alone. */
export function hasTags(tags: Tags, asked: AskedTags): boolean {
  return (asked ?? []).every(({ Key, Value }) => Object.hasOwn(tags, Key) && (!Value || tags[Key] === Value))
}
