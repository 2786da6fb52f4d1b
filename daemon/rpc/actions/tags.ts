/** Tags of groups, instances, network interfaces and prefix lists. */
import Type from 'typebox'
import { ApiError } from '../../errors.ts'
import { type Documents, keyOf, type Tags } from '../../model/documents.ts'
import { writable } from '../../services/principal.ts'
import { type EcsKind, ecsKinds } from '../../services/ram/targets.ts'
import type { World } from '../../state/world.ts'
import { type RpcAction, type RpcCall, readAction, writeAction } from '../action.ts'
import { pageOf } from '../paging.ts'
import { coded } from '../read-parameters.ts'
import { namedOrAll, resourceOf } from '../resources.ts'
import { hasTags, readTags, tagParameters } from '../shapes.ts'

const mostResources = 50
const mostTags = 20

const resourceParameters = {
  ResourceType: Type.String({ maxLength: 64 }),
  ResourceId: coded(
    'NumberExceed.ResourceIds',
    Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: mostResources }),
  ),
}
const tagged = Type.Object({ ...resourceParameters, ...tagParameters })

/** @throws {ApiError} 404 for a type that has no tags here */
function kindOf(word: string): EcsKind {
  const found = ecsKinds.get(word.toLowerCase())
  if (found !== undefined) return found
  const known = [...ecsKinds.keys()].join(', ')
  throw new ApiError(404, 'InvalidResourceType.NotFound', `Cannot tag a "${word}": expected one of ${known}`)
}

function resourcesOf(
  world: World,
  call: Pick<RpcCall<never>, 'accountId' | 'api'>,
  word: string,
  ids: readonly string[],
) {
  const kind = kindOf(word)
  return ids.map(id => resourceOf(world, call, kind, id))
}

/** @throws {ApiError} 404 */
function found<K extends EcsKind>(lookUp: () => Documents[K], id: string): Documents[K] {
  try {
    return lookUp()
  } catch (cause) {
    if (!(cause instanceof ApiError) || cause.status !== 404) throw cause
    throw new ApiError(404, 'InvalidResourceId.NotFound', `Cannot find "${id}": there is none`, { cause })
  }
}

function changeTags(
  world: World,
  { principal, parameters }: Pick<RpcCall<typeof tagged>, 'principal' | 'parameters'>,
  change: (tags: Tags) => Tags,
) {
  const kind = kindOf(parameters.ResourceType)
  const docs = [...new Set(parameters.ResourceId)].map(id => found(() => writable(world, principal, kind, id), id))
  const writes = docs.map(doc => {
    const tags = change(doc.tags)
    if (Object.keys(tags).length > mostTags) {
      throw new ApiError(403, 'QuotaExceed.Tags', `Cannot give ${doc.id} more tags: expected ${mostTags} at most`)
    }
    return { key: keyOf(kind, doc.id), value: { ...doc, tags } }
  })
  return { writes, body: () => ({}) }
}

const untagParameters = Type.Object({
  ...resourceParameters,
  TagKey: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: mostTags })),
  All: Type.Optional(Type.Boolean({ default: false })),
})
const listParameters = Type.Object({
  ResourceType: resourceParameters.ResourceType,
  ResourceId: Type.Optional(resourceParameters.ResourceId),
  ...tagParameters,
  NextToken: Type.Optional(Type.String({ maxLength: 200 })),
})
/** The published service has no parameter for it. */
const listed = { usual: 50, most: 50 }

export const tagActions: readonly RpcAction[] = [
  writeAction({
    product: 'ecs',
    name: 'TagResources',
    summary: 'give tags to up to 50 objects',
    parameters: tagged,
    access: (world, call) => ({
      action: 'ecs:TagResources',
      resources: resourcesOf(world, call, call.parameters.ResourceType, call.parameters.ResourceId),
    }),
    plan(world, call) {
      const given = readTags(call.parameters.Tag)
      if (Object.keys(given).length === 0)
        throw new ApiError(404, 'MissingParameter.Tag', 'Cannot tag without tags: expected Tag.1.Key')
      return changeTags(world, call, tags => ({ ...tags, ...given }))
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'UntagResources',
    summary: 'take tags from up to 50 objects',
    parameters: untagParameters,
    access: (world, call) => ({
      action: 'ecs:UntagResources',
      resources: resourcesOf(world, call, call.parameters.ResourceType, call.parameters.ResourceId),
    }),
    plan(world, { principal, parameters }) {
      const { TagKey, All = false } = parameters
      const going = new Set(TagKey)
      const stays = (key: string) => (TagKey === undefined ? !All : !going.has(key))
      return changeTags(world, { principal, parameters }, tags =>
        Object.fromEntries(Object.entries(tags).filter(([key]) => stays(key))),
      )
    },
  }),
  readAction({
    product: 'ecs',
    name: 'ListTagResources',
    summary: 'tags of objects, or objects with tags',
    parameters: listParameters,
    access: (world, call) => {
      const { ResourceType, ResourceId = ['*'] } = call.parameters
      return { action: 'ecs:ListTagResources', resources: resourcesOf(world, call, ResourceType, ResourceId) }
    },
    read(world, { accountId, parameters }) {
      const { ResourceType, ResourceId, Tag } = parameters
      if (ResourceId === undefined && Tag === undefined) {
        throw new ApiError(
          404,
          'MissingParameter.TagOwnerUid',
          'Cannot tell which are meant: expected ResourceId or Tag',
        )
      }
      const kind = kindOf(ResourceType)
      const all = [...namedOrAll(world, kind, ResourceId)]
        .filter(doc => doc.accountId === accountId && hasTags(doc.tags, Tag))
        .flatMap(doc =>
          Object.entries(doc.tags).map(([TagKey, TagValue]) => ({
            ResourceId: doc.id,
            ResourceType: ResourceType.toLowerCase(),
            TagKey,
            TagValue,
          })),
        )
      const nameOf = (tag: (typeof all)[number]) => `${tag.ResourceId} ${tag.TagKey}`
      const sorted = all.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
      const { items, fields } = pageOf(sorted, nameOf, { MaxResults: listed.usual, ...parameters }, listed)
      return { TagResources: { TagResource: items }, NextToken: fields.NextToken }
    },
  }),
]
