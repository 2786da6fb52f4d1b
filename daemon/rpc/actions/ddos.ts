/**
 * Anti-DDoS: thresholds, past attacks, and how instances stand. Thresholds are of an instance, whatever address a request
 * names; the only kind of asset is `ecs`. Rates are in Mbit/s (10^6 bits) and packets a second.
 */
import Type, { type TProperties } from 'typebox'
import { ddosThresholdBounds } from '../../../rules-compiler/model/policy.ts'
import { ApiError } from '../../errors.ts'
import type { InstanceDoc } from '../../model/documents.ts'
import { ddosResource } from '../../ram/resource-names.ts'
import { eventsOf } from '../../services/ddos.ts'
import { cancelScrubbing, setThreshold } from '../../services/ddos-thresholds.ts'
import { visible, writable } from '../../services/principal.ts'
import type { World } from '../../state/world.ts'
import { type MissingAction, type RpcAction, type RpcCall, readAction, writeAction } from '../action.ts'
import { renamed } from '../envelope.ts'
import { coded404, type Recodings, recoded } from '../recode.ts'
import {
  addressesOf,
  identity,
  type Status,
  showAsset,
  showEvent,
  showThreshold,
  statuses,
  statusOf,
  theOnlyType,
} from './ddos-shapes.ts'
import { canonical } from './interface-parameters.ts'

const product = 'antiddos-public'

type Call = Pick<RpcCall<never>, 'principal' | 'accountId' | 'api' | 'regionId'>

const codes: Recodings = { 'InvalidInstanceId.NotFound': coded404('InstanceNotExist') }

/** What every action asks for. Of the kinds of assets that are not `ecs` there is none here. */
const asset = {
  DdosRegionId: Type.String({ minLength: 1, maxLength: 64 }),
  InstanceType: Type.Enum([theOnlyType, 'slb', 'eip', 'ipv6', 'swas', 'waf', 'ga_basic']),
}
type AssetType = 'ecs' | 'slb' | 'eip' | 'ipv6' | 'swas' | 'waf' | 'ga_basic'
const instanceId = Type.String({ minLength: 1, maxLength: 64 })
const address = Type.String({ minLength: 1, maxLength: 64 })
const DdosType = Type.Enum(['defense', 'blackhole'])
const usualPage = 10
const pages = {
  CurrentPage: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000, default: 1 })),
  PageSize: Type.Optional(Type.Integer({ minimum: 1, maximum: 50, default: usualPage })),
}

function pageOf<T>(
  items: readonly T[],
  { CurrentPage = 1, PageSize = usualPage }: { readonly CurrentPage?: number; readonly PageSize?: number },
): readonly T[] {
  return items.slice((CurrentPage - 1) * PageSize, CurrentPage * PageSize)
}

const accessTo = (name: string) => (_world: World, call: Call) => ({
  action: `yundun-ddos:${name}`,
  resources: [ddosResource({ regionId: call.api.regionId, accountId: call.accountId })],
})

interface Text<P extends TProperties> {
  readonly summary: string
  readonly differs?: string
  readonly parameters: P
}

function reads<P extends TProperties>(
  name: string,
  { parameters, ...text }: Text<P>,
  read: (world: World, call: RpcCall<ReturnType<typeof Type.Object<P>>>) => object,
): RpcAction {
  return readAction({
    product,
    name,
    ...text,
    parameters: Type.Object(parameters),
    access: accessTo(name),
    read: (world, call) => recoded(codes, () => read(world, call as never)),
  })
}

/** Those of the caller's account, by id; none of a kind of asset that is not here. */
function instancesOf(world: World, { accountId }: Call, type: AssetType): readonly InstanceDoc[] {
  if (type !== theOnlyType) return []
  return [...world.all('instance')]
    .filter(instance => instance.accountId === accountId)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** @throws {ApiError} 404, also for another kind of asset */
function instanceOf(world: World, { principal }: Call, type: AssetType, id: string): InstanceDoc {
  if (type !== theOnlyType) throw notExist(`${type} "${id}"`)
  return visible(world, principal, 'instance', id)
}

function notExist(what: string): ApiError {
  return new ApiError(404, 'InstanceNotExist', `Cannot find ${what}: there is none that you may see`)
}

/** @throws {ApiError} 400 for an address that is not the instance's */
function requireAddress(world: World, instance: InstanceDoc, given: string | undefined): string {
  const addresses = addressesOf(world, instance)
  if (given === undefined || given === '') return addresses[0] ?? ''
  const wanted = canonical(given)
  if (addresses.includes(wanted)) return wanted
  const expected = addresses.length === 0 ? 'none: it has no addresses' : `one of ${addresses.slice(0, 10).join(', ')}`
  const message = `Cannot use InternetIp "${given}" for instance "${instance.id}": expected ${expected}`
  throw new ApiError(400, 'InvalidParameter', message)
}

const search = {
  InstanceId: Type.Optional(Type.String({ maxLength: 64 })),
  InstanceIp: Type.Optional(Type.String({ maxLength: 64 })),
  InstanceName: Type.Optional(Type.String({ maxLength: 128 })),
  DdosStatus: Type.Optional(Type.Enum([...statuses])),
  ...pages,
}

interface Search {
  readonly InstanceType: AssetType
  readonly InstanceId?: string
  readonly InstanceIp?: string
  readonly InstanceName?: string
  readonly DdosStatus?: Status
}

function found(world: World, call: Call, asked: Search): readonly InstanceDoc[] {
  const { InstanceType, InstanceId, InstanceIp, InstanceName, DdosStatus } = asked
  const ip = InstanceIp && canonical(InstanceIp)
  return instancesOf(world, call, InstanceType).filter(
    instance =>
      (!InstanceId || instance.id === InstanceId) &&
      (!InstanceName || instance.name === InstanceName) &&
      (!ip || addressesOf(world, instance).includes(ip)) &&
      (DdosStatus === undefined || statusOf(instance, call) === DdosStatus),
  )
}

const dayMs = 24 * 3600 * 1000

/** All that are kept of the instances meant, newest first. */
function eventsIn(world: World, call: Call, asked: Search & { readonly QueryDays?: number; readonly nowMs: number }) {
  const sinceMs = asked.QueryDays === undefined ? 0 : asked.nowMs - asked.QueryDays * dayMs
  return found(world, call, asked)
    .flatMap(({ id }) => eventsOf(world, id).map(({ event }) => event))
    .filter(({ startTime }) => Date.parse(startTime) >= sinceMs)
    .sort((a, b) => (a.startTime > b.startTime ? -1 : 1))
}

const modifyParameters = {
  ...asset,
  InstanceId: instanceId,
  Bps: Type.Optional(Type.Integer(ddosThresholdBounds.bps)),
  Pps: Type.Optional(Type.Integer(ddosThresholdBounds.pps)),
  IsAuto: Type.Optional(Type.Boolean({ default: false })),
}

const modifies = (
  [
    ['ModifyDefenseThreshold', Type.Object({ ...modifyParameters, InternetIp: Type.Optional(address) })],
    ['ModifyIpDefenseThreshold', Type.Object({ ...modifyParameters, InternetIp: address })],
  ] as const
).map(([name, parameters]) =>
  writeAction({
    product,
    name,
    summary: 'set the thresholds above which an instance’s traffic is cleaned',
    differs:
      'they are the instance’s, whichever of its addresses is named; IsAuto takes back what was set by hand, and the maxima of the instance type hold',
    parameters,
    access: accessTo(name),
    subject: ({ parameters: { InstanceId } }) => ({ kind: 'instance', id: InstanceId }),
    plan: (world, { principal, parameters: given, api }) =>
      recoded(codes, () => {
        const { InstanceType, InstanceId: id, InternetIp, Bps: bps, Pps: pps, IsAuto } = given
        if (InstanceType !== theOnlyType) throw notExist(`${InstanceType} "${id}"`)
        requireAddress(world, writable(world, principal, 'instance', id), InternetIp)
        const body =
          IsAuto === true
            ? { source: 'type' as const }
            : { ...(bps !== undefined && { bps }), ...(pps !== undefined && { pps }) }
        return renamed(setThreshold(world, principal, { id, body, board: api.ddos }), () => ({}))
      }),
  }),
)

const missing = (name: string, summary: string, why: string): MissingAction => ({
  product,
  name,
  summary,
  missing: why,
})

export const ddosActions: readonly RpcAction[] = [
  readAction({
    product,
    name: 'DescribeRegions',
    summary: 'the one region there is',
    parameters: Type.Object({}),
    read(_world, { api: { regionId } }) {
      const region = { RegionNo: regionId, RegionNoAlias: regionId, RegionName: regionId, RegionEnName: regionId }
      return { Regions: { Region: [region] } }
    },
  }),
  reads(
    'DescribeDdosThreshold',
    {
      summary: 'thresholds of instances: where cleaning begins, or a black hole',
      differs: 'an instance without thresholds is told to have the largest there can be; a black hole knows no Pps',
      parameters: { ...asset, DdosType, InstanceIds: Type.Optional(Type.Array(instanceId, { maxItems: 100 })) },
    },
    (world, call) => {
      const { InstanceType, DdosType: type, InstanceIds } = call.parameters
      const instances =
        InstanceIds === undefined
          ? instancesOf(world, call, InstanceType)
          : InstanceIds.map(id => instanceOf(world, call, InstanceType, id))
      const Threshold = instances.map(each =>
        showThreshold(world, call, each, type, requireAddress(world, each, undefined)),
      )
      return { Thresholds: { Threshold } }
    },
  ),
  reads(
    'DescribeIpDdosThreshold',
    {
      summary: 'the same for one address of an instance',
      differs: 'they are the instance’s, whichever of its addresses is named',
      parameters: { ...asset, DdosType, InstanceId: instanceId, InternetIp: address },
    },
    (world, call) => {
      const { InstanceType, DdosType: type, InstanceId, InternetIp } = call.parameters
      const instance = instanceOf(world, call, InstanceType, InstanceId)
      return { Threshold: showThreshold(world, call, instance, type, requireAddress(world, instance, InternetIp)) }
    },
  ),
  ...modifies,
  reads(
    'DescribeDdosEventList',
    {
      summary: 'attacks on an instance, newest first',
      differs:
        'without QueryDays all that are kept are told; one that goes on has EndTime 0, and one that is not cleaned because that was cancelled is told as mitigating',
      parameters: {
        ...asset,
        InstanceId: Type.Optional(instanceId),
        InternetIp: Type.Optional(address),
        QueryDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650 })),
        ...pages,
      },
    },
    (world, call) => {
      const { InstanceType, InstanceId, InternetIp, QueryDays, ...page } = call.parameters
      if (InstanceId !== undefined) {
        requireAddress(world, instanceOf(world, call, InstanceType, InstanceId), InternetIp)
      }
      const events = eventsIn(world, call, {
        InstanceType,
        ...(InstanceId !== undefined && { InstanceId }),
        ...(InternetIp !== undefined && { InstanceIp: InternetIp }),
        ...(QueryDays !== undefined && { QueryDays }),
        nowMs: call.nowMs,
      })
      return {
        Total: events.length,
        DdosEventList: { DdosEvent: pageOf(events, page).map(event => showEvent(event, call)) },
      }
    },
  ),
  reads(
    'DescribeDdosCount',
    {
      summary: 'how many instances there are, are cleaned, and are black-holed',
      parameters: { DdosRegionId: asset.DdosRegionId, InstanceType: Type.Optional(asset.InstanceType) },
    },
    (world, call) => {
      const all = instancesOf(world, call, call.parameters.InstanceType ?? theOnlyType)
      const count = (wanted: Status) => all.filter(instance => statusOf(instance, call) === wanted).length
      return {
        // Misspelt by the published API.
        DdosCount: {
          InstacenCount: all.length,
          DefenseCount: count('mitigating'),
          BlackholeCount: count('blackholed'),
        },
      }
    },
  ),
  reads(
    'DescribeInstanceIpAddress',
    {
      summary: 'instances with their addresses, thresholds and how they stand',
      differs: 'all addresses of an instance are told, private ones too: Ringwall knows no others',
      parameters: { ...asset, ...search },
    },
    (world, call) => {
      const instances = found(world, call, call.parameters)
      return {
        Total: instances.length,
        InstanceList: pageOf(instances, call.parameters).map(instance => ({
          ...identity(instance),
          IpAddressConfig: addressesOf(world, instance).map(ip => ({
            ...showAsset(world, call, instance, ip),
            IpStatus: statusOf(instance, call),
            RegionId: call.api.regionId,
          })),
        })),
      }
    },
  ),
  reads(
    'DescribeInstance',
    {
      summary: 'the same, an entry for each address',
      differs: 'all addresses of an instance are told, private ones too; an instance without any has one empty entry',
      parameters: { ...asset, ...search },
    },
    (world, call) => {
      const ip = call.parameters.InstanceIp && canonical(call.parameters.InstanceIp)
      const entries = found(world, call, call.parameters).flatMap(instance => {
        const addresses = addressesOf(world, instance)
        return (addresses.length === 0 ? [''] : addresses)
          .filter(each => !ip || each === ip)
          .map(each => ({
            ...identity(instance),
            InternetIp: each,
            InstanceStatus: statusOf(instance, call),
            ...showAsset(world, call, instance, each),
          }))
      })
      return { Total: entries.length, InstanceList: { Instance: pageOf(entries, call.parameters) } }
    },
  ),
  reads(
    'DescribeIpLocationService',
    { summary: 'whose an address is', parameters: { InternetIp: address } },
    (world, call) => {
      const ip = canonical(call.parameters.InternetIp)
      const instance = instancesOf(world, call, theOnlyType).find(each => addressesOf(world, each).includes(ip))
      if (instance === undefined) throw notExist(`an instance with address "${call.parameters.InternetIp}"`)
      return { Instance: { ...identity(instance), InternetIp: ip, Region: call.api.regionId } }
    },
  ),
  writeAction({
    product,
    name: 'ModifyDdosStatus',
    summary: 'cancel the cleaning of an instance’s traffic',
    differs: 'it stays cancelled until it is resumed, by `ringwall ddos resume` or /v1; there is no count for a day',
    parameters: Type.Object({ ...asset, InstanceId: instanceId, InternetIp: Type.Optional(address) }),
    access: accessTo('ModifyDdosStatus'),
    subject: ({ parameters: { InstanceId } }) => ({ kind: 'instance', id: InstanceId }),
    plan: (world, { principal, parameters: { InstanceType, InstanceId, InternetIp } }) =>
      recoded(codes, () => {
        if (InstanceType !== theOnlyType) throw notExist(`${InstanceType} "${InstanceId}"`)
        requireAddress(world, writable(world, principal, 'instance', InstanceId), InternetIp)
        return renamed(cancelScrubbing(world, principal, InstanceId), () => ({}))
      }),
  }),
  missing('DescribeCap', 'captured packets of an attack', 'packets of attacks are not captured'),
  missing(
    'DescribeDdosCredit',
    'a score by which black holes last',
    'nobody is rated: how long they last is a setting',
  ),
  missing('DescribeBgpPackByIp', 'the protection package of an address', 'there are no protection packages to buy'),
]
