/** What a check is given: the sound parts of the file, indexed once for all checks, and where to put faults. */
import { defaultLimits, type Limits } from '../model/policy.ts'
import { type BuiltRule, buildRule } from './build-rule.ts'
import type { Sound } from './read-shape.ts'
import type { Report } from './report.ts'
import type { FileEni, FileGroup, FilePrefixList, FileRule, PolicyFile } from './schema.ts'

/** One rule about policies; finds every breach of it. Faulty parts are absent and are nobody's second fault. */
export type Check = (context: CheckContext) => void

/** A part of the file and where it stands. */
export interface Placed<T> {
  readonly item: Sound<T>
  readonly path: string
}

export interface PlacedRule extends Placed<FileRule> {
  /** null where the rule is faulty. */
  readonly built: BuiltRule | null
}

export interface PlacedGroup extends Placed<FileGroup> {
  readonly rules: readonly PlacedRule[]
  /** Canonical, without duplicates: those the file lists and the addresses of the file's ENIs in the group. */
  readonly members: readonly string[]
}

export interface CheckContext {
  readonly file: Sound<PolicyFile>
  readonly enis: readonly Placed<FileEni>[]
  readonly groups: readonly PlacedGroup[]
  /** By id; of several with one id the first. */
  readonly groupById: ReadonlyMap<string, PlacedGroup>
  readonly prefixListById: ReadonlyMap<string, Placed<FilePrefixList>>
  readonly limits: Limits
  readonly report: Report
}

export function makeContext(file: Sound<PolicyFile>, report: Report): CheckContext {
  const enis = place<FileEni>(file.interfaces, 'interfaces')
  const addresses = addressesByGroup(enis)
  const groups = place<FileGroup>(file.securityGroups, 'securityGroups').map(group => placeGroup(group, addresses))
  return {
    file,
    enis,
    groups,
    groupById: indexById(groups),
    prefixListById: indexById(place<FilePrefixList>(file.prefixLists, 'prefixLists')),
    limits: limitsOf(file),
    report,
  }
}

/** The items of a list, but for faulty ones, and where they stand. */
export function place<T>(items: readonly (Sound<T> | undefined)[] | undefined, path: string): readonly Placed<T>[] {
  return (items ?? []).flatMap((item, index) => (item === undefined ? [] : [{ item, path: `${path}[${index}]` }]))
}

/** The kind of a group; undefined where the file's word for it is faulty. */
export function groupType(group: Sound<FileGroup>): 'basic' | 'advanced' | undefined {
  return Object.hasOwn(group, 'type') ? group.type : 'basic'
}

export function networkType(group: Sound<FileGroup>): 'vpc' | 'classic' | undefined {
  return Object.hasOwn(group, 'networkType') ? group.networkType : 'vpc'
}

function placeGroup(group: Placed<FileGroup>, addresses: ReadonlyMap<string, readonly string[]>): PlacedGroup {
  const { item, path } = group
  const { id = '', members = [] } = item
  return {
    item,
    path,
    members: [...new Set([...members.filter(member => member !== undefined), ...(addresses.get(id) ?? [])])],
    rules: place<FileRule>(item.rules, `${path}.rules`).map(rule => ({ ...rule, built: buildRule(rule.item, id) })),
  }
}

function addressesByGroup(enis: readonly Placed<FileEni>[]): ReadonlyMap<string, readonly string[]> {
  const byGroup = new Map<string, string[]>()
  for (const { item } of enis) {
    const addresses = (item.addresses ?? []).filter(address => address !== undefined)
    for (const groupId of item.securityGroupIds ?? []) {
      if (groupId === undefined) continue
      const ofGroup = byGroup.get(groupId) ?? []
      ofGroup.push(...addresses)
      byGroup.set(groupId, ofGroup)
    }
  }
  return byGroup
}

function indexById<T extends Placed<{ readonly id: string }>>(items: readonly T[]): ReadonlyMap<string, T> {
  const index = new Map<string, T>()
  for (const placed of items) {
    const { id } = placed.item
    if (id !== undefined && !index.has(id)) index.set(id, placed)
  }
  return index
}

function limitsOf(file: Sound<PolicyFile>): Limits {
  const given = Object.entries(file.settings?.limits ?? {}).filter(([, limit]) => limit !== undefined)
  return { ...defaultLimits, ...Object.fromEntries(given) }
}
