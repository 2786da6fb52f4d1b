/**
 * Documents in the words of the API: what a GET shows of an object, but for what follows from others (how many are in
 * it) and the revision. For what tells of changes: dry runs and the audit log.
 */
import { type Documents, type Kind, parseKey } from '../model/documents.ts'
import { showAccount } from './accounts.ts'
import { showDdosEvent } from './ddos.ts'
import { scrubbingFields } from './ddos-thresholds.ts'
import { showEnrolment } from './fleet.ts'
import { describeInstance } from './instances.ts'
import { describeInterface } from './network-interfaces.ts'
import { showPermission } from './permissions.ts'
import { describePortRangeList } from './port-range-lists.ts'
import { describePrefixList } from './prefix-lists.ts'
import { describeAccessKey, describePolicyWhole, describeRamGroup, showRamRole, showRamUser } from './ram/show.ts'
import { describeGroup } from './security-groups.ts'
import { showSettings } from './settings.ts'
import { showToken } from './tokens.ts'

type Fields = Readonly<Record<string, unknown>>

/** Of those that the API shows as they are; of agents it shows what they say of themselves. */
const describers: { readonly [K in Kind]?: (doc: Documents[K]) => Fields } = {
  account: doc => withoutRevision(showAccount(doc, 0)),
  group: doc => ({ ...describeGroup(doc), permissions: doc.rules.map(showPermission) }),
  prefixList: describePrefixList,
  portRangeList: describePortRangeList,
  instance: doc => ({ ...describeInstance(doc), ddosThreshold: doc.ddosThreshold ?? null, ...scrubbingFields(doc) }),
  eni: describeInterface,
  enrolment: doc => withoutRevision(showEnrolment(doc, 0)),
  token: doc => withoutRevision(showToken(doc, 0)),
  settings: doc => withoutRevision(showSettings(doc, 0)),
  ddosEvent: doc => withoutRevision(showDdosEvent(doc, 0)),
  ramUser: doc => withoutRevision(showRamUser(doc, 0)),
  ramGroup: describeRamGroup,
  ramPolicy: describePolicyWhole,
  ramRole: doc => withoutRevision(showRamRole(doc, 0)),
  accessKey: describeAccessKey,
}

function withoutRevision({ revision: _, ...fields }: Fields): Fields {
  return fields
}

/** Hashes of secrets and private keys: who reads of changes needs neither. */
const secretFields: ReadonlySet<string> = new Set(['secretSha256', 'privateKey', 'sealedSecret'])

/**
 * @returns null where there is no document. One that is not whole, as another version may have written it, is told as
 * it is: a change that is told in odd words is better than none.
 */
export function describeDocument(key: string, doc: unknown): Fields | null {
  if (doc === null) return null
  const describe = describers[parseKey(key).kind] as ((doc: unknown) => Fields) | undefined
  try {
    if (describe !== undefined) return describe(doc)
  } catch {}
  return Object.fromEntries(Object.entries(doc as Fields).filter(([name]) => !secretFields.has(name)))
}
