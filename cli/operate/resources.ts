/** The kinds of objects that commands name, and where the API has them. */

export type ResourceKind =
  | 'account'
  | 'group'
  | 'prefixList'
  | 'portRangeList'
  | 'instance'
  | 'eni'
  | 'agent'
  | 'token'
  | 'invitation'
  | 'ddosEvent'
  | 'ramUser'
  | 'ramGroup'
  | 'ramPolicy'
  | 'ramRole'
  | 'accessKey'
  | 'context'

/** An object as the API shows it. */
export type Shown = Readonly<Record<string, unknown>>

export interface Resource {
  /** For people: `security group`. */
  readonly noun: string
  /** What shows all of them, after `ringwall`: `sg list`. */
  readonly listCommand: string
  readonly path: string
  readonly idField: string
  /** The field that people may say instead of the id; null where there is none, or one of several. */
  readonly nameField: string | null
  /** The query parameter that finds an object by its name; null where all must be looked through. */
  readonly nameFilter: string | null
  /** The field that has the object where an answer has one. */
  readonly answerField: string
  /** Whether one can be read by its id. */
  readonly hasPage: boolean
  /** Whole: an id in a path must not lead elsewhere. */
  readonly idForm: RegExp
  /** What to do where there is none. */
  readonly whenNone: string
}

export const resources: Readonly<Record<Exclude<ResourceKind, 'context'>, Resource>> = {
  account: {
    noun: 'account',
    listCommand: 'account list',
    path: '/v1/accounts',
    idField: 'accountId',
    nameField: 'name',
    nameFilter: 'name',
    answerField: 'account',
    hasPage: true,
    idForm: /^\d{16}$/,
    whenNone: 'Make one: ringwall account create NAME',
  },
  group: {
    noun: 'security group',
    listCommand: 'sg list',
    path: '/v1/security-groups',
    idField: 'securityGroupId',
    nameField: 'securityGroupName',
    nameFilter: 'securityGroupName',
    answerField: 'securityGroup',
    hasPage: true,
    idForm: /^sg-[\w.-]+$/,
    whenNone: 'Make one: ringwall sg create sg-web',
  },
  prefixList: {
    noun: 'prefix list',
    listCommand: 'prefix-list list',
    path: '/v1/prefix-lists',
    idField: 'prefixListId',
    nameField: 'prefixListName',
    nameFilter: 'prefixListName',
    answerField: 'prefixList',
    hasPage: true,
    idForm: /^pl-[\w.-]+$/,
    whenNone: 'Make one: ringwall prefix-list create pl-office --add 203.0.113.0/24',
  },
  portRangeList: {
    noun: 'list of ports',
    listCommand: 'port-range-list list',
    path: '/v1/port-range-lists',
    idField: 'portRangeListId',
    nameField: 'portRangeListName',
    nameFilter: 'portRangeListName',
    answerField: 'portRangeList',
    hasPage: true,
    idForm: /^prl-[\w.-]+$/,
    whenNone: 'Make one: ringwall port-range-list create prl-web --add 80,443,8000-8100',
  },
  instance: {
    noun: 'instance',
    listCommand: 'instance list',
    path: '/v1/instances',
    idField: 'instanceId',
    nameField: 'instanceName',
    nameFilter: 'instanceName',
    answerField: 'instance',
    hasPage: true,
    idForm: /^i-[\w.-]+$/,
    whenNone: 'Let a host join ("ringwall agent invite --new-instance"), or make one: ringwall instance register',
  },
  eni: {
    noun: 'network interface',
    listCommand: 'eni list',
    path: '/v1/network-interfaces',
    idField: 'networkInterfaceId',
    nameField: null,
    nameFilter: 'address',
    answerField: 'networkInterface',
    hasPage: true,
    idForm: /^eni-[\w.-]+$/,
    whenNone: 'Register one: ringwall eni register --instance i-web1 --device eth0 --group sg-web',
  },
  agent: {
    noun: 'agent',
    listCommand: 'agent list',
    path: '/v1/agents',
    idField: 'agentId',
    nameField: 'hostName',
    nameFilter: 'hostName',
    answerField: 'agent',
    hasPage: true,
    idForm: /^agent-[\w.-]+$/,
    whenNone: 'Let a host join: ringwall agent invite',
  },
  token: {
    noun: 'API token',
    listCommand: 'token list',
    path: '/v1/tokens',
    idField: 'tokenId',
    nameField: 'name',
    nameFilter: 'name',
    answerField: 'apiToken',
    hasPage: false,
    idForm: /^token-[\w.-]+$/,
    whenNone: 'Make one: ringwall token create NAME --account ID --read',
  },
  invitation: {
    noun: 'invitation',
    listCommand: 'agent invitations',
    path: '/v1/enrolment-tokens',
    idField: 'enrolmentTokenId',
    nameField: null,
    nameFilter: null,
    answerField: 'enrolmentToken',
    hasPage: false,
    idForm: /^enrol-[\w.-]+$/,
    whenNone: 'Make one: ringwall agent invite',
  },
  ddosEvent: {
    noun: 'attack',
    listCommand: 'ddos events',
    path: '/v1/ddos/events',
    idField: 'eventId',
    nameField: null,
    nameFilter: null,
    answerField: 'ddosEvent',
    hasPage: true,
    idForm: /^ddos-[\w.-]+$/,
    whenNone: '"ringwall ddos status" shows how instances stand.',
  },
  ramUser: {
    noun: 'user',
    listCommand: 'ram user list',
    path: '/v1/ram/users',
    idField: 'userName',
    nameField: null,
    nameFilter: null,
    answerField: 'user',
    hasPage: true,
    idForm: /^[\w.-]+$/,
    whenNone: 'Make one: ringwall ram user create NAME',
  },
  ramGroup: {
    noun: 'group of users',
    listCommand: 'ram group list',
    path: '/v1/ram/groups',
    idField: 'groupName',
    nameField: null,
    nameFilter: null,
    answerField: 'group',
    hasPage: true,
    idForm: /^[\w.-]+$/,
    whenNone: 'Make one: ringwall ram group create NAME',
  },
  ramPolicy: {
    noun: 'policy',
    listCommand: 'ram policy list',
    path: '/v1/ram/policies',
    idField: 'policyName',
    nameField: null,
    nameFilter: null,
    answerField: 'policy',
    hasPage: true,
    idForm: /^[A-Za-z0-9-]+$/,
    whenNone: 'Make one: ringwall ram policy create NAME FILE',
  },
  ramRole: {
    noun: 'role',
    listCommand: 'ram role list',
    path: '/v1/ram/roles',
    idField: 'roleName',
    nameField: null,
    nameFilter: null,
    answerField: 'role',
    hasPage: true,
    idForm: /^[A-Za-z0-9.-]+$/,
    whenNone: 'Make one: ringwall ram role create NAME --trust FILE',
  },
  accessKey: {
    noun: 'access key',
    listCommand: 'ram key list',
    path: '/v1/ram/access-keys',
    idField: 'accessKeyId',
    nameField: null,
    nameFilter: null,
    answerField: 'accessKey',
    hasPage: false,
    idForm: /^RW[A-Za-z0-9]+$/,
    whenNone: 'Make one: ringwall ram key create USER',
  },
}

/** How ids begin that whoever makes an object may choose. */
export const idPrefixes = {
  group: 'sg-',
  prefixList: 'pl-',
  portRangeList: 'prl-',
  instance: 'i-',
  eni: 'eni-',
} as const

/** A path below a resource; ids come from people. */
export function pathOf(resource: Resource, id: string, ...rest: readonly string[]): string {
  return [resource.path, ...[id, ...rest].map(encodeURIComponent)].join('/')
}
