/** Prefix lists. */
import Type from 'typebox'
import { parseCidr } from '../../../rules-compiler/address/cidr.ts'
import { ApiError } from '../../errors.ts'
import type { PrefixListDoc } from '../../model/documents.ts'
import { groupsNaming } from '../../services/named-lists.ts'
import { createPrefixList, deletePrefixList, modifyPrefixList } from '../../services/prefix-lists.ts'
import { visible, writable } from '../../services/principal.ts'
import { type RpcAction, readAction, writeAction } from '../action.ts'
import { renamed } from '../envelope.ts'
import { pageOf, pagingParameters } from '../paging.ts'
import { coded } from '../read-parameters.ts'
import { coded400, coded403, type Recodings, recoded } from '../recode.ts'
import { anyResource, askedResources, resourceOf } from '../resources.ts'
import { hasTags, isoSeconds, readTags, tagList, tagParameters } from '../shapes.ts'

const pages = { usual: 10, most: 100 }

const listId = Type.String({ maxLength: 64 })
const listName = coded(
  'InvalidParameter.PrefixListName',
  Type.String({ pattern: '^(?!https?://)\\p{L}[\\p{L}\\p{N}:_.-]{1,127}$' }),
)
const description = coded('InvalidParameter.Description', Type.String({ maxLength: 256, pattern: '^(?!https?://)' }))
const entryDescription = Type.Optional(coded('InvalidParameter.EntryDescription', Type.String({ maxLength: 32 })))
const Cidr = coded('InvalidParameter.CidrMalformed', Type.String({ minLength: 1, maxLength: 64 }))
const entries = Type.Array(Type.Object({ Cidr, Description: entryDescription }), { maxItems: 200 })
type AskedEntries = readonly { readonly Cidr: string; readonly Description?: string | undefined }[]

const codes: Recodings = {
  'limit entries': coded400('LimitExceed.MaxEntries'),
  'limit addEntries': coded400('LimitExceed.MaxEntries'),
  'limit maxEntries': coded400('LimitExceed.MaxEntries'),
  'duplicate cidr': coded400('InvalidParameter.CidrDuplicated'),
  cidr: coded400('InvalidParameter.CidrMalformed'),
  DependencyViolation: coded403('DependencyViolation'),
}

/** A block with host bits is a mistake there, and not one of Ringwall's own API. @throws {ApiError} 400 */
function readEntries(asked: AskedEntries | undefined) {
  return (asked ?? []).map(({ Cidr: text, Description }) => {
    const cidr = parseCidr(text)
    if (cidr !== null && text.includes('/') && parseCidr(text.split('/')[0]!)?.first !== cidr.first) {
      const message = `Cannot use block "${text}": expected its first address, ${cidr.text}`
      throw new ApiError(400, 'InvalidParameter.CidrMalformed', message)
    }
    return { cidr: text, ...(Description && { description: Description }) }
  })
}

const createParameters = Type.Object({
  PrefixListName: listName,
  AddressFamily: coded('InvalidParameter.AddressFamily', Type.Enum(['IPv4', 'IPv6'])),
  MaxEntries: coded('InvalidParameter.MaxEntries', Type.Integer({ minimum: 1, maximum: 200 })),
  Description: Type.Optional(description),
  Entry: Type.Optional(entries),
  ...tagParameters,
})
const describeParameters = Type.Object({
  PrefixListId: Type.Optional(Type.Array(listId, { maxItems: 100 })),
  PrefixListName: Type.Optional(Type.String({ maxLength: 128 })),
  AddressFamily: Type.Optional(coded('InvalidParameter.AddressFamily', Type.Enum(['IPv4', 'IPv6']))),
  ...tagParameters,
  ...pagingParameters(pages),
})
const byList = Type.Object({ PrefixListId: listId })

const shown = (list: PrefixListDoc) => ({
  PrefixListId: list.id,
  PrefixListName: list.name ?? '',
  AddressFamily: list.addressFamily,
  MaxEntries: list.maxEntries,
  Description: list.description ?? '',
  CreationTime: isoSeconds(list.createdAtMs),
})

export const prefixListActions: readonly RpcAction[] = [
  writeAction({
    product: 'ecs',
    name: 'CreatePrefixList',
    summary: 'make a prefix list',
    parameters: createParameters,
    access: (_world, call) => ({ action: 'ecs:CreatePrefixList', resources: [anyResource(call, 'prefixList')] }),
    plan(world, { principal, accountId, parameters, nowMs }) {
      const { PrefixListName, AddressFamily, MaxEntries, Description, Entry, Tag } = parameters
      const wish = {
        accountId,
        prefixListName: PrefixListName,
        addressFamily: AddressFamily,
        maxEntries: MaxEntries,
        description: Description || null,
        entries: readEntries(Entry),
        tags: readTags(Tag),
      }
      return recoded(codes, () =>
        renamed(createPrefixList({ world, principal, nowMs }, wish), ({ prefixList }) => ({
          PrefixListId: prefixList.prefixListId,
        })),
      )
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'ModifyPrefixList',
    summary: 'rename a list, add, change and take away entries',
    parameters: Type.Object({
      ...byList.properties,
      PrefixListName: Type.Optional(listName),
      Description: Type.Optional(description),
      AddEntry: Type.Optional(entries),
      RemoveEntry: Type.Optional(Type.Array(Type.Object({ Cidr }), { maxItems: 200 })),
    }),
    access: (world, call) => ({
      action: 'ecs:ModifyPrefixList',
      resources: [resourceOf(world, call, 'prefixList', call.parameters.PrefixListId)],
    }),
    plan(world, { principal, parameters }) {
      const { PrefixListId, PrefixListName, Description, AddEntry, RemoveEntry } = parameters
      const list = writable(world, principal, 'prefixList', PrefixListId)
      const changes = {
        ...(PrefixListName !== undefined && { prefixListName: PrefixListName }),
        ...(Description !== undefined && { description: Description || null }),
        addEntries: readEntries(AddEntry),
        removeEntries: (RemoveEntry ?? []).map(({ Cidr: text }) => ({ cidr: text })),
      }
      return recoded(codes, () => renamed(modifyPrefixList(world, list, changes), () => ({})))
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'DeletePrefixList',
    summary: 'delete a list that no rule names',
    parameters: byList,
    access: (world, call) => ({
      action: 'ecs:DeletePrefixList',
      resources: [resourceOf(world, call, 'prefixList', call.parameters.PrefixListId)],
    }),
    plan: (world, { principal, parameters }) =>
      recoded(codes, () =>
        renamed(deletePrefixList(world, writable(world, principal, 'prefixList', parameters.PrefixListId)), () => ({})),
      ),
  }),
  readAction({
    product: 'ecs',
    name: 'DescribePrefixLists',
    summary: 'prefix lists of the account, in pages',
    parameters: describeParameters,
    access: (world, call) => ({
      action: 'ecs:DescribePrefixLists',
      resources: askedResources(world, call, 'prefixList', call.parameters.PrefixListId),
    }),
    read(world, { accountId, parameters }) {
      const { PrefixListId, PrefixListName, AddressFamily, Tag } = parameters
      const found = [...world.all('prefixList')]
        .filter(
          list =>
            list.accountId === accountId &&
            (PrefixListId === undefined || PrefixListId.includes(list.id)) &&
            (!PrefixListName || list.name === PrefixListName) &&
            (AddressFamily === undefined || list.addressFamily === AddressFamily) &&
            hasTags(list.tags, Tag),
        )
        .sort((a, b) => (a.id < b.id ? -1 : 1))
      const { items, fields } = pageOf(found, list => list.id, { MaxResults: pages.usual, ...parameters }, pages)
      return {
        PrefixLists: {
          PrefixList: items.map(list => ({
            ...shown(list),
            AssociationCount: world.groupsUsingPrefixList(list.id).size,
            Tags: { Tag: tagList(list.tags) },
          })),
        },
        NextToken: fields.NextToken,
      }
    },
  }),
  readAction({
    product: 'ecs',
    name: 'DescribePrefixListAttributes',
    summary: 'a list with its entries',
    parameters: byList,
    access: (world, call) => ({
      action: 'ecs:DescribePrefixListAttributes',
      resources: [resourceOf(world, call, 'prefixList', call.parameters.PrefixListId)],
    }),
    read(world, { principal, parameters }) {
      const list = visible(world, principal, 'prefixList', parameters.PrefixListId)
      const Entry = list.entries.map(({ cidr, description: text }) => ({ Cidr: cidr, Description: text ?? '' }))
      return { ...shown(list), Entries: { Entry } }
    },
  }),
  readAction({
    product: 'ecs',
    name: 'DescribePrefixListAssociations',
    summary: 'groups with rules that name a list',
    parameters: Type.Object({ ...byList.properties, ...pagingParameters(pages) }),
    access: (world, call) => ({
      action: 'ecs:DescribePrefixListAssociations',
      resources: [resourceOf(world, call, 'prefixList', call.parameters.PrefixListId)],
    }),
    read(world, { principal, parameters }) {
      const list = visible(world, principal, 'prefixList', parameters.PrefixListId)
      const groups = groupsNaming(world, list.id)
      const { items, fields } = pageOf(groups, group => group.id, { MaxResults: pages.usual, ...parameters }, pages)
      return {
        PrefixListAssociations: {
          PrefixListAssociation: items.map(group => ({ ResourceId: group.id, ResourceType: 'securitygroup' })),
        },
        NextToken: fields.NextToken,
      }
    },
  }),
]
