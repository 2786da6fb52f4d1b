/** Lists of ports. What is told of them stands in plain lists, unlike that of prefix lists: so it is published. */
import Type from 'typebox'
import type { PortRangeListDoc } from '../../model/documents.ts'
import { mostRanges } from '../../schemas/port-range-lists.ts'
import { groupsNaming } from '../../services/named-lists.ts'
import { createPortRangeList, deletePortRangeList, modifyPortRangeList } from '../../services/port-range-lists.ts'
import { visible, writable } from '../../services/principal.ts'
import type { World } from '../../state/world.ts'
import { type RpcAction, type RpcCall, readAction, writeAction } from '../action.ts'
import { renamed } from '../envelope.ts'
import { pageOf, pagingParameters } from '../paging.ts'
import { coded } from '../read-parameters.ts'
import { coded400, coded403, type Recodings, recoded } from '../recode.ts'
import { anyResource, askedResources, resourceOf } from '../resources.ts'
import { hasTags, isoSeconds, readTags, tagList, tagParameters } from '../shapes.ts'

const pages = { usual: 10, most: 100 }

const listId = Type.String({ maxLength: 64 })
const listName = coded(
  'InvalidParameter.PortRangeListName',
  Type.String({ pattern: '^(?!https?://)\\p{L}[\\p{L}\\p{N}:_.-]{1,127}$' }),
)
const description = coded('InvalidParameter.Description', Type.String({ maxLength: 256, pattern: '^(?!https?://)' }))
const entryDescription = Type.Optional(coded('InvalidParameter.EntryDescription', Type.String({ maxLength: 32 })))
const PortRange = coded('InvalidParameter.PortRangeMalformed', Type.String({ minLength: 1, maxLength: 64 }))
const entries = Type.Array(Type.Object({ PortRange, Description: entryDescription }), { maxItems: mostRanges })
type AskedEntries = readonly { readonly PortRange: string; readonly Description?: string | undefined }[]
const maxEntries = coded('InvalidParameter.MaxEntries', Type.Integer({ minimum: 1, maximum: mostRanges }))
const byList = Type.Object({ PortRangeListId: listId })

const codes: Recodings = {
  'limit entries': coded400('LimitExceed.MaxEntries'),
  'limit addEntries': coded400('LimitExceed.MaxEntries'),
  'limit maxEntries': coded403('AuthorizationLimitExceed'),
  'duplicate portRange': coded400('InvalidParameter.PortRangeDuplicated'),
  portRange: coded400('InvalidParameter.PortRangeMalformed'),
  DependencyViolation: coded403('DependencyViolation'),
}

const readEntries = (asked: AskedEntries | undefined) =>
  (asked ?? []).map(({ PortRange: portRange, Description }) => ({
    portRange,
    ...(Description && { description: Description }),
  }))

const ofList = (action: string) => (world: World, call: RpcCall<typeof byList>) => ({
  action: `ecs:${action}`,
  resources: [resourceOf(world, call, 'portRangeList', call.parameters.PortRangeListId)],
})

const createParameters = Type.Object({
  PortRangeListName: listName,
  MaxEntries: maxEntries,
  Description: Type.Optional(description),
  Entry: Type.Optional(entries),
  ...tagParameters,
})
const modifyParameters = Type.Object({
  ...byList.properties,
  PortRangeListName: Type.Optional(listName),
  Description: Type.Optional(description),
  MaxEntries: Type.Optional(maxEntries),
  AddEntry: Type.Optional(entries),
  RemoveEntry: Type.Optional(Type.Array(Type.Object({ PortRange }), { maxItems: mostRanges })),
})
const describeParameters = Type.Object({
  PortRangeListId: Type.Optional(Type.Array(listId, { maxItems: 100 })),
  PortRangeListName: Type.Optional(Type.String({ maxLength: 128 })),
  ...tagParameters,
  ...pagingParameters(pages),
})

const shown = (world: World, list: PortRangeListDoc) => ({
  PortRangeListId: list.id,
  PortRangeListName: list.name ?? '',
  MaxEntries: list.maxEntries,
  AssociationCount: world.groupsUsingPortRangeList(list.id).size,
  Description: list.description ?? '',
  CreationTime: isoSeconds(list.createdAtMs),
  ResourceGroupId: '',
  Tags: tagList(list.tags),
})

export const portRangeListActions: readonly RpcAction[] = [
  writeAction({
    product: 'ecs',
    name: 'CreatePortRangeList',
    summary: 'make a list of ports',
    parameters: createParameters,
    access: (_world, call) => ({ action: 'ecs:CreatePortRangeList', resources: [anyResource(call, 'portRangeList')] }),
    plan(world, { principal, accountId, parameters, nowMs }) {
      const { PortRangeListName, MaxEntries, Description, Entry, Tag } = parameters
      const wish = {
        accountId,
        portRangeListName: PortRangeListName,
        maxEntries: MaxEntries,
        description: Description || null,
        entries: readEntries(Entry),
        tags: readTags(Tag),
      }
      return recoded(codes, () =>
        renamed(createPortRangeList({ world, principal, nowMs }, wish), ({ portRangeList }) => ({
          PortRangeListId: portRangeList.portRangeListId,
        })),
      )
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'ModifyPortRangeList',
    summary: 'rename a list of ports, add, change and take away entries',
    parameters: modifyParameters,
    access: ofList('ModifyPortRangeList'),
    subject: call => ({ kind: 'portRangeList', id: call.parameters.PortRangeListId }),
    plan(world, { principal, parameters }) {
      const { PortRangeListId, PortRangeListName, Description, MaxEntries, AddEntry, RemoveEntry } = parameters
      const list = writable(world, principal, 'portRangeList', PortRangeListId)
      const changes = {
        ...(PortRangeListName !== undefined && { portRangeListName: PortRangeListName }),
        ...(Description !== undefined && { description: Description || null }),
        ...(MaxEntries !== undefined && { maxEntries: MaxEntries }),
        addEntries: readEntries(AddEntry),
        removeEntries: (RemoveEntry ?? []).map(({ PortRange: portRange }) => ({ portRange })),
      }
      return recoded(codes, () => renamed(modifyPortRangeList(world, list, changes), () => ({})))
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'DeletePortRangeList',
    summary: 'delete a list of ports that no rule names',
    parameters: byList,
    access: ofList('DeletePortRangeList'),
    plan: (world, { principal, parameters }) =>
      recoded(codes, () =>
        renamed(
          deletePortRangeList(world, writable(world, principal, 'portRangeList', parameters.PortRangeListId)),
          () => ({}),
        ),
      ),
  }),
  readAction({
    product: 'ecs',
    name: 'DescribePortRangeLists',
    summary: 'lists of ports of the account, in pages',
    parameters: describeParameters,
    access: (world, call) => ({
      action: 'ecs:DescribePortRangeLists',
      resources: askedResources(world, call, 'portRangeList', call.parameters.PortRangeListId),
    }),
    read(world, { accountId, parameters }) {
      const { PortRangeListId, PortRangeListName, Tag } = parameters
      const found = [...world.all('portRangeList')]
        .filter(
          list =>
            list.accountId === accountId &&
            (PortRangeListId === undefined || PortRangeListId.includes(list.id)) &&
            (!PortRangeListName || list.name === PortRangeListName) &&
            hasTags(list.tags, Tag),
        )
        .sort((a, b) => (a.id < b.id ? -1 : 1))
      const { items, fields } = pageOf(found, list => list.id, { MaxResults: pages.usual, ...parameters }, pages)
      return { PortRangeLists: items.map(list => shown(world, list)), NextToken: fields.NextToken }
    },
  }),
  readAction({
    product: 'ecs',
    name: 'DescribePortRangeListEntries',
    summary: 'entries of a list of ports',
    parameters: byList,
    access: ofList('DescribePortRangeListEntries'),
    read(world, { principal, parameters }) {
      const list = visible(world, principal, 'portRangeList', parameters.PortRangeListId)
      return {
        Entries: list.entries.map(({ portRange, description: text }) => ({
          PortRange: portRange,
          Description: text ?? '',
        })),
      }
    },
  }),
  readAction({
    product: 'ecs',
    name: 'DescribePortRangeListAssociations',
    summary: 'groups with rules that name a list of ports',
    parameters: Type.Object({ ...byList.properties, ...pagingParameters(pages) }),
    access: ofList('DescribePortRangeListAssociations'),
    read(world, { principal, parameters }) {
      const list = visible(world, principal, 'portRangeList', parameters.PortRangeListId)
      const groups = groupsNaming(world, list.id)
      const { items, fields } = pageOf(groups, group => group.id, { MaxResults: pages.usual, ...parameters }, pages)
      return {
        PortRangeListAssociations: items.map(group => ({ ResourceId: group.id, ResourceType: 'securitygroup' })),
        NextToken: fields.NextToken,
      }
    },
  }),
]
