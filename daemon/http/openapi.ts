/** What of the OpenAPI document routes do not say themselves: headings, names of operations, examples, refusals, dry runs. */
import Type from 'typebox'
import { bodyExamples, pathExamples } from '../schemas/examples.ts'
import { ruleEffects } from '../services/preview.ts'
import { problemSchema } from './problem.ts'

/** As much of the document as is looked at. */
interface Document {
  paths?: Record<string, Record<string, Operation>>
  components?: { schemas?: object; responses?: object }
}

interface Operation {
  operationId?: string
  readonly parameters?: readonly { readonly name: string; readonly in: string; example?: string }[]
  readonly requestBody?: { readonly content: Record<string, { example?: object }> }
  readonly responses: Record<string, Response | Reference>
}

interface Response {
  description: string
  readonly content?: Readonly<Record<string, { readonly schema?: { readonly properties?: object } }>>
}

interface Reference {
  readonly $ref: string
}

/** Headings, in the order of who begins. */
export const documentTags = [
  { name: 'Accounts', description: 'Who owns groups, instances and lists.' },
  { name: 'Security groups', description: 'Groups, who is in them, and who joins and leaves.' },
  { name: 'Rules', description: 'What groups accept and drop, one by one or as a file.' },
  { name: 'Prefix lists', description: 'CIDR blocks under a name that rules can say.' },
  { name: 'Lists of ports', description: 'Ranges of ports under a name that rules can say.' },
  { name: 'Instances', description: 'Hosts and virtual machines.' },
  { name: 'Network interfaces', description: 'Devices of instances with their addresses: where groups are enforced.' },
  { name: 'Agents', description: 'Who enforces on each host, how far each is, and tokens to enrol more.' },
  { name: 'Changes', description: 'What was committed, and where it is in force.' },
  {
    name: 'Reports',
    description: 'Why a packet is accepted or dropped, what deserves a second look, what is used of limits.',
  },
  { name: 'Traffic scrubbing', description: 'Thresholds, attacks under way and past, black holes.' },
  { name: 'Access control', description: 'Users of accounts, their groups, policies, roles and access keys.' },
  { name: 'Tokens', description: 'Who may use this API.' },
  { name: 'Settings', description: 'What every agent is told.' },
  { name: 'Audit', description: 'Who did what, and what was refused.' },
  { name: 'Backup', description: 'The whole state as a file, and back.' },
] as const

const dryRunSchema = Type.Object(
  {
    dryRun: Type.Literal(true),
    changes: Type.Array(Type.Object({ key: Type.String(), before: Type.Unknown(), after: Type.Unknown() }), {
      description: 'What would be written, as it is stored: `group/sg-web` before and after, null where there is none.',
    }),
    agents: Type.Array(Type.String(), { description: 'Who would hear of it.' }),
    rules: Type.Array(
      Type.Object({
        securityGroupId: Type.String(),
        securityGroupRuleId: Type.String(),
        effect: Type.Enum([...ruleEffects], {
          description:
            'members-changed, entries-changed: the rule stays, and names a group whose members change, or a list whose entries do.',
        }),
      }),
      { description: 'Rules that would be others, or match other addresses.' },
    ),
  },
  { description: 'With what the answer would have been, but for `revision`.' },
)

const components = {
  schemas: { Problem: problemSchema, DryRun: dryRunSchema },
  responses: {
    Refused: {
      description: 'Refused, and nothing was stored: `code` is stable, `errors` names each field.',
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    },
    Fault: {
      description: 'The disk refuses (503), or a fault of the daemon: its log has `requestId`.',
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    },
    DryRun: {
      description: 'Of a dry run: nothing was stored.',
      content: { 'application/json': { schema: { $ref: '#/components/schemas/DryRun' } } },
    },
  },
}

/** Makes what the routes gave whole. */
export function completeDocument<D extends object>(given: D): D {
  const document = given as Document
  for (const [path, operations] of Object.entries(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(operations)) completeOperation(operation, { method, path })
  }
  const { schemas, responses } = document.components ?? {}
  document.components = {
    ...document.components,
    schemas: { ...schemas, ...components.schemas },
    responses: { ...responses, ...components.responses },
  }
  return given
}

interface Place {
  readonly method: string
  readonly path: string
}

function completeOperation(operation: Operation, place: Place): void {
  const { parameters = [], requestBody, responses } = operation
  const hasDryRun = parameters.some(({ name }) => name === 'dryRun')
  operation.operationId = operationIdOf(place, isList(responses['200']))
  const body = requestBody?.content['application/json']
  const example = bodyExamples[operation.operationId]
  if (body !== undefined && example !== undefined) body.example = example
  for (const parameter of parameters) {
    const name = pathExamples[parameter.name]
    if (parameter.in === 'path' && name !== undefined) parameter.example = name
  }
  for (const response of Object.values(responses)) {
    if ('$ref' in response || response.description !== 'Default Response') continue
    response.description = place.method === 'get' ? 'What was asked for.' : 'Done.'
  }
  if (hasDryRun) responses['200'] ??= reference('DryRun')
  responses['4XX'] ??= reference('Refused')
  responses['5XX'] ??= reference('Fault')
}

function reference(name: keyof typeof components.responses): Reference {
  return { $ref: `#/components/responses/${name}` }
}

function isList(response: Response | Reference | undefined): boolean {
  if (response === undefined || '$ref' in response) return false
  const { properties = {} } = response.content?.['application/json']?.schema ?? {}
  return 'items' in properties && 'nextToken' in properties
}

const verbs: Readonly<Record<string, string>> = {
  get: 'get',
  patch: 'modify',
  put: 'set',
  delete: 'delete',
}

/** `createSecurityGroup`, `listSecurityGroups`, `cloneSecurityGroup`: by what the path names, each once. */
function operationIdOf({ method, path }: Place, isListed: boolean): string {
  const segments = path.split('/').slice(2)
  const named = segments.flatMap((segment, index) => {
    if (segment.startsWith('{')) return []
    return [segments[index + 1]?.startsWith('{') ? singular(segment) : segment]
  })
  if (method !== 'post') return [isListed ? 'list' : verbs[method]!, ...named.map(capital)].join('')
  const last = named.pop() ?? ''
  if (segments.length > 1 && !last.endsWith('s')) return uncapital([capital(last), ...named.map(capital)].join(''))
  return last.endsWith('s') ? ['create', ...[...named, singular(last)].map(capital)].join('') : uncapital(capital(last))
}

function singular(word: string): string {
  return word.endsWith('ies') ? `${word.slice(0, -3)}y` : word.replace(/s$/, '')
}

/** `SecurityGroups` of `security-groups`. */
function capital(segment: string): string {
  return segment
    .split('-')
    .map(word => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`)
    .join('')
}

function uncapital(name: string): string {
  return `${name.slice(0, 1).toLowerCase()}${name.slice(1)}`
}
