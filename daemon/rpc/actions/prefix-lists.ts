/** Prefix lists. */
import Type from 'typebox'
import { parseCidr } from '../../../rules-compiler/address/cidr.ts'
import { ApiError } from '../../errors.ts'
import type { PrefixListDoc } from '../../model/documents.ts'
import { createPrefixList, deletePrefixList, modifyPrefixList } from '../../services/prefix-lists.ts'
import { visible, writable } from '../../services/principal.ts'
import { type RpcAction, readAction, writeAction } from '../action.ts'
import { renamed } from '../envelope.ts'
import {
  askedIds,
  askedName,
  description,
  entryDescription,
  listId,
  listName,
  listPaging,
  pageOfAssociations,
  pageOfLists,
  searchParameters,
} from '../named-lists.ts'
import { coded } from '../read-parameters.ts'
import { coded400, coded403, type Recodings, recoded } from '../recode.ts'
import { accessByField, anyResource, askedResources } from '../resources.ts'
import { isoSeconds, readTags, tagList, tagParameters } from '../shapes.ts'

const name = listName('InvalidParameter.PrefixListName')
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
  PrefixListName: name,
  AddressFamily: coded('InvalidParameter.AddressFamily', Type.Enum(['IPv4', 'IPv6'])),
  MaxEntries: coded('InvalidParameter.MaxEntries', Type.Integer({ minimum: 1, maximum: 200 })),
  Description: Type.Optional(description),
  Entry: Type.Optional(entries),
  ...tagParameters,
})
const describeParameters = Type.Object({
  PrefixListId: askedIds,
  PrefixListName: askedName,
  AddressFamily: Type.Optional(coded('InvalidParameter.AddressFamily', Type.Enum(['IPv4', 'IPv6']))),
  ...searchParameters,
})
const byList = Type.Object({ PrefixListId: listId })

const ofList = (name: string) => accessByField(name, 'prefixList', 'PrefixListId')

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
      PrefixListName: Type.Optional(name),
      Description: Type.Optional(description),
      AddEntry: Type.Optional(entries),
      RemoveEntry: Type.Optional(Type.Array(Type.Object({ Cidr }), { maxItems: 200 })),
    }),
    access: ofList('ModifyPrefixList'),
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
    access: ofList('DeletePrefixList'),
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
      const { PrefixListId: ids, PrefixListName, AddressFamily, ...asked } = parameters
      const ofFamily = world
        .all('prefixList')
        .filter(list => AddressFamily === undefined || list.addressFamily === AddressFamily)
      const { lists, NextToken } = pageOfLists(ofFamily, { ...asked, accountId, ids, name: PrefixListName })
      return {
        PrefixLists: {
          PrefixList: lists.map(list => ({
            ...shown(list),
            AssociationCount: world.groupsUsingPrefixList(list.id).size,
            Tags: { Tag: tagList(list.tags) },
          })),
        },
        NextToken,
      }
    },
  }),
  readAction({
    product: 'ecs',
    name: 'DescribePrefixListAttributes',
    summary: 'a list with its entries',
    parameters: byList,
    access: ofList('DescribePrefixListAttributes'),
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
    parameters: Type.Object({ ...byList.properties, ...listPaging }),
    access: ofList('DescribePrefixListAssociations'),
    read(world, { principal, parameters }) {
      const list = visible(world, principal, 'prefixList', parameters.PrefixListId)
      const { associations, NextToken } = pageOfAssociations(world, list.id, parameters)
      return {
        PrefixListAssociations: {
          PrefixListAssociation: associations,
        },
        NextToken,
      }
    },
  }),
]
