/** Lists of ports. What is told of them stands in plain lists, unlike that of prefix lists: so it is published. */
import Type from 'typebox'
import type { PortRangeListDoc } from '../../model/documents.ts'
import { mostRanges } from '../../schemas/port-range-lists.ts'
import { createPortRangeList, deletePortRangeList, modifyPortRangeList } from '../../services/port-range-lists.ts'
import { visible, writable } from '../../services/principal.ts'
import type { World } from '../../state/world.ts'
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

const name = listName('InvalidParameter.PortRangeListName')
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

const ofList = (name: string) => accessByField(name, 'portRangeList', 'PortRangeListId')

const createParameters = Type.Object({
  PortRangeListName: name,
  MaxEntries: maxEntries,
  Description: Type.Optional(description),
  Entry: Type.Optional(entries),
  ...tagParameters,
})
const modifyParameters = Type.Object({
  ...byList.properties,
  PortRangeListName: Type.Optional(name),
  Description: Type.Optional(description),
  MaxEntries: Type.Optional(maxEntries),
  AddEntry: Type.Optional(entries),
  RemoveEntry: Type.Optional(Type.Array(Type.Object({ PortRange }), { maxItems: mostRanges })),
})
const describeParameters = Type.Object({
  PortRangeListId: askedIds,
  PortRangeListName: askedName,
  ...searchParameters,
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
      const { PortRangeListId: ids, PortRangeListName, ...asked } = parameters
      const search = { ...asked, accountId, ids, name: PortRangeListName }
      const { lists, NextToken } = pageOfLists(world.all('portRangeList'), search)
      return { PortRangeLists: lists.map(list => shown(world, list)), NextToken }
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
    parameters: Type.Object({ ...byList.properties, ...listPaging }),
    access: ofList('DescribePortRangeListAssociations'),
    read(world, { principal, parameters }) {
      const list = visible(world, principal, 'portRangeList', parameters.PortRangeListId)
      const { associations, NextToken } = pageOfAssociations(world, list.id, parameters)
      return {
        PortRangeListAssociations: associations,
        NextToken,
      }
    },
  }),
]
