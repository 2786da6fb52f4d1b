/** What a scenario acts on: an account of its own, a client for it, and the daemon's other side where things must be there. */
import assert from 'node:assert/strict'
import type { Product } from '../../../daemon/rpc/action.ts'
import type { TestApi } from '../api.ts'
import type { RpcKey } from '../rpc-client.ts'
import { type SdkAnswer, type SdkClient, SdkRefusal } from './clients.ts'

export interface Stage {
  readonly api: TestApi
  /** Whose key the client has; nobody else's objects are in it. */
  readonly accountId: string
  /** A word that is in no other account's ids. */
  readonly word: string
  readonly ask: SdkClient['ask']
  /** The same with another key. */
  as(key: RpcKey): Pick<Stage, 'ask' | 'refused'>
  /** The request is refused with this code and status; pop-core's users see the code alone. */
  refused(code: string, status: number, product: Product, action: string, parameters?: object): Promise<SdkRefusal>
  /** An instance with a network interface in a group, as an operator registers them. @returns their ids */
  register(name: string, securityGroupIds: readonly string[]): Promise<RegisteredIds>
}

export interface RegisteredIds {
  readonly instanceId: string
  readonly networkInterfaceId: string
}

/** By name; each on a stage of its own. */
export type Scenarios = Readonly<Record<string, (stage: Stage) => Promise<void>>>

/** Accounts share the VPC that has no name, in which no address stands twice. */
let registered = 0

export function stageOf(
  api: TestApi,
  connect: (key: RpcKey) => SdkClient,
  { key, accountId }: { readonly key: RpcKey; readonly accountId: string },
): Stage {
  const word = accountId.slice(-6)
  const as: Stage['as'] = other => {
    const { ask } = connect(other)
    return { ask, refused: (code, status, ...question) => refusalOf(ask, { code, status }, question) }
  }
  return {
    api,
    accountId,
    word,
    as,
    ...as(key),
    async register(name, securityGroupIds) {
      registered += 1
      const instanceId = `i-${word}-${name}`
      const networkInterfaceId = `eni-${word}-${name}`
      const made = [
        await api.request('POST', '/v1/instances', { accountId, instanceId }),
        await api.request('POST', '/v1/network-interfaces', {
          networkInterfaceId,
          instanceId,
          privateIpAddresses: [`198.18.${16 + (registered >> 7)}.${1 + (registered & 127)}`],
          securityGroupIds,
        }),
      ]
      for (const { status, body } of made) assert.equal(status, 201, JSON.stringify(body))
      return { instanceId, networkInterfaceId }
    },
  }
}

async function refusalOf(
  ask: SdkClient['ask'],
  expected: { readonly code: string; readonly status: number },
  question: Parameters<SdkClient['ask']>,
): Promise<SdkRefusal> {
  let answer: SdkAnswer
  try {
    answer = await ask(...question)
  } catch (error) {
    if (!(error instanceof SdkRefusal)) throw error
    assert.deepEqual({ code: error.code, status: error.status ?? expected.status }, expected, error.message)
    return error
  }
  assert.fail(`${question[1]} is answered, not refused with ${expected.code}: ${JSON.stringify(answer)}`)
}
