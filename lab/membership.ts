/**
 * An instance joins a group that a rule of another group names, and leaves it again: what the rule lets in follows,
 * on another host, without anybody touching the rule.
 */
import { type Control, putInForce } from './control.ts'
import type { OpenOptions } from './conversation.ts'
import { addresses } from './fleet.ts'
import type { Peers } from './traffic.ts'

export interface Membership {
  readonly reachedBefore: boolean
  /** From the request until the daemon says that the change is in every kernel concerned. */
  readonly joinMs: number
  readonly agents: number
  readonly reachedAsMember: boolean
  readonly leaveMs: number
  /** The session that was open when it left no longer answers. */
  readonly cutWhenLeft: boolean
}

const databasePort = 5432
const shortMs = 700
/** The web server is let into the database by joining the group of the application servers. */
export async function demonstrateMembership(control: Control, peers: Peers): Promise<Membership> {
  const connect = async (options: OpenOptions = {}) => {
    try {
      return await peers.get('web')!.connectTcp(addresses.db.ip, databasePort, options)
    } catch {
      return null
    }
  }
  const change = async (action: 'join' | 'leave') => {
    const begun = performance.now()
    const path = `/v1/security-groups/sg-app/${action}`
    const { enforcement } = await putInForce(control, path, { instanceIds: ['i-web'] })
    return { agents: enforcement.agents, tookMs: performance.now() - begun }
  }
  const before = await connect({ timeoutMs: shortMs })
  const joined = await change('join')
  const session = await connect()
  const answered = (await session?.ask('as a member')) ?? false
  const left = await change('leave')
  const answeredAfter = (await session?.ask('no longer', shortMs)) ?? true
  return {
    reachedBefore: before !== null,
    joinMs: joined.tookMs,
    agents: joined.agents,
    reachedAsMember: answered,
    leaveMs: left.tookMs,
    cutWhenLeft: !answeredAfter,
  }
}
