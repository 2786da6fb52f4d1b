/** What an action of the RPC API is: its parameters, what a caller must be allowed, and what is read or written. */
import type { Static, TObject } from 'typebox'
import type { Api } from '../routes/route.ts'
import type { AccessNeed, RequestFacts } from '../services/access.ts'
import type { Plan, Subject } from '../services/executor.ts'
import type { Principal } from '../services/principal.ts'
import type { World } from '../state/world.ts'

/** Products by the name that clients know them by, each with the one version of it that is spoken. */
export const versions = {
  ecs: '2014-05-26',
  vpc: '2016-04-28',
  ram: '2015-05-01',
  sts: '2015-04-01',
  'antiddos-public': '2017-05-18',
} as const

export type Product = keyof typeof versions

/** Services are called otherwise in policies than in versions. */
const serviceCodes: Readonly<Partial<Record<Product, string>>> = { 'antiddos-public': 'yundun-ddos' }

/** As policies and the audit log have it: `ecs:AuthorizeSecurityGroup`. */
export function policyName({ product, name }: { readonly product: Product; readonly name: string }): string {
  return `${serviceCodes[product] ?? product}:${name}`
}

export interface RpcCall<P extends TObject> {
  readonly principal: Principal
  /** Of the caller: whose objects are meant where a request names none. */
  readonly accountId: string
  /** The access key that it counts for. */
  readonly countedAs: string
  readonly parameters: Static<P>
  /** As the request says it, else the daemon's own. */
  readonly regionId: string
  readonly nowMs: number
  /** What conditions can be about. */
  readonly facts: RequestFacts
  readonly api: Api
}

interface ActionText<P extends TObject> {
  readonly product: Product
  /** As clients send it: `AuthorizeSecurityGroup`. */
  readonly name: string
  /** What it does, a few words, for the table of actions. */
  readonly summary: string
  /** What is different here, and why, for the same table. */
  readonly differs?: string
  /** What must be allowed, in words, where the action itself asks and has no `access`. */
  readonly needs?: string
  /** Annotated for the wire where JSON Schema has no word for it: see read-parameters.ts. */
  readonly parameters: P
  /** Left out for what everybody may. */
  readonly access?: (world: World, call: RpcCall<P>) => AccessNeed
}

/** Answers have no `RequestId`: every one gets it. */
export interface ReadAction<P extends TObject = TObject> extends ActionText<P> {
  readonly read: (world: World, call: RpcCall<P>) => object | Promise<object>
}

export interface WriteAction<P extends TObject = TObject> extends ActionText<P> {
  readonly plan: (world: World, call: RpcCall<P>) => Plan<object>
  /** What `wait` looks at where nothing had to be done. */
  readonly subject?: (call: RpcCall<P>) => Subject
  /** The answer has a secret, which must not be kept for repetitions. */
  readonly isSecret?: boolean
}

/** Known, and not built yet: answers with an error that says so. */
export interface MissingAction extends Omit<ActionText<TObject>, 'parameters' | 'access' | 'needs'> {
  readonly missing: string
}

// biome-ignore lint/suspicious/noExplicitAny: a list of actions with parameters of any kind
export type RpcAction = ReadAction<any> | WriteAction<any> | MissingAction

/** For the types of what it says. */
export const readAction = <P extends TObject>(action: ReadAction<P>): ReadAction<P> => action
export const writeAction = <P extends TObject>(action: WriteAction<P>): WriteAction<P> => action
