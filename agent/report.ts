/** What the agent says of itself: in the log, in metrics, and to health checks. */

import type { Logger } from '../common/log.ts'
import type { PolicyIr } from '../rules-compiler/policy/ir.ts'
import type { Untracked } from './conntrack/open-sessions.ts'
import type { Health } from './http.ts'
import { type AgentMetrics, eniStates as allEniStates, type EniState } from './metrics.ts'
import { NftError } from './nft/errors.ts'
import { countElements } from './reconcile/describe.ts'
import type { Bindings } from './reconcile/devices.ts'
import type { Outcome } from './reconcile/loop.ts'

/** What /health answers besides what every health answer has. */
export interface AgentHealth extends Health {
  /** Whether the kernel holds the policy last accepted. */
  readonly inForce: boolean
  readonly enis: readonly ReportedEni[]
  /** When somebody else's change of our table was put right last, and who it was; null where none has been. */
  readonly lastDrift: Drift | null
  /** Sessions that were open before there was a table, and that connection tracking may not know; null where it knows all. */
  readonly untracked: Untracked | null
}

export interface Drift {
  /** ISO 8601. */
  readonly time: string
  /** `nft (pid 4711)`; `unknown` where nobody can be named. */
  readonly changedBy: string
}

export interface ReportedEni {
  readonly id: string
  /** Null where none is known. */
  readonly device: string | null
  readonly state: EniState
}

export interface AcceptedPolicy {
  /** Ids of ENIs that are not in the policy, because no device is known for them. */
  readonly leftOut?: readonly string[]
}

export type Reporter = ReturnType<typeof createReporter>

export function createReporter(log: Logger, metrics: AgentMetrics) {
  let accepted: PolicyIr | null = null
  let enforced: PolicyIr | null = null
  let bindings: Bindings = new Map()
  let leftOut: readonly string[] = []
  /** Ids of ENIs that the last accepted policy left alone or left out: they are told of once. */
  let notJudged: ReadonlySet<string> = new Set()
  let fileFaults: readonly string[] = []
  let refusal: string | null = null
  /** Why the last accepted policy is not given to the kernel at all. */
  let heldBack: string | null = null
  /** The ENIs and directions that had to do without a stamp after the last run. */
  let unstampedBefore = ''
  let lastDrift: Drift | null = null
  let lastUntracked: Untracked | null = null
  /** When the change was noticed that is not in force yet. */
  let pendingSinceMs: number | null = null

  function eniStates(): readonly ReportedEni[] {
    const attached = (enforced?.enis ?? []).map(({ id, device }): ReportedEni => {
      return { id, device, state: bindings.has(id) ? 'enforced' : 'device-missing' }
    })
    const alone = (enforced?.unattachedEnis ?? []).map((eni): ReportedEni => ({ ...eni, state: 'no-group' }))
    const without = leftOut.map((id): ReportedEni => ({ id, device: null, state: 'device-missing' }))
    return [...attached, ...alone, ...without]
  }

  function reached({ policy, bindings: bound, cause, lacking }: Exclude<Outcome, { kind: 'refused' }>): void {
    const missingBefore = new Set(eniStates().flatMap(eni => (eni.state === 'device-missing' ? [eni.id] : [])))
    enforced = policy
    bindings = bound
    refusal = null
    if (policy === accepted) heldBack = null
    metrics.inForce.set(policy === accepted ? 1 : 0)
    const states = eniStates()
    for (const state of allEniStates) {
      metrics.enis.set({ state }, states.filter(eni => eni.state === state).length)
    }
    for (const { id, device, state } of states) {
      if (state !== 'device-missing' || device === null || missingBefore.has(id)) continue
      log.warn({ eni: id, device }, 'device is not there; its rules stand and take hold when it comes')
    }
    const unstamped = lacking?.keys.join(' ') ?? ''
    if (lacking !== null && unstamped !== unstampedBefore) {
      const { keys, reason } = lacking
      log.warn(
        { keys, reason },
        'no stamp is free for these: their sessions are judged packet by packet, which is slower',
      )
    }
    unstampedBefore = unstamped
    if (cause === 'drift' || cause === 'check' || cause === 'retry') metrics.resyncs.inc({ cause })
    if (pendingSinceMs !== null && policy === accepted) {
      metrics.reconcileLag.observe((performance.now() - pendingSinceMs) / 1000)
      pendingSinceMs = null
    }
  }

  return {
    enforced: () => enforced,
    eniStates,

    policyAccepted(ir: PolicyIr, noticedAtMs: number, options: AcceptedPolicy = {}): void {
      accepted = ir
      leftOut = options.leftOut ?? []
      fileFaults = []
      heldBack = null
      pendingSinceMs = noticedAtMs
      metrics.policyLoads.inc({ outcome: 'accepted' })
      metrics.policyFaults.set(0)
      metrics.inForce.set(0)
      const before = notJudged
      notJudged = new Set([...ir.unattachedEnis.map(({ id }) => id), ...leftOut])
      for (const { id, device } of ir.unattachedEnis) {
        if (before.has(id)) continue
        log.warn({ eni: id, device }, 'ENI has no security group: its device is left alone')
      }
      for (const id of leftOut) {
        if (before.has(id)) continue
        log.warn({ eni: id }, 'no device is known for the ENI; its rules wait for one with its MAC address')
      }
    },

    /** The kernel has nothing of any policy, on purpose. */
    opened(): void {
      enforced = null
      metrics.inForce.set(0)
    },

    /** The policy accepted last is not given to the kernel. */
    heldBack(message: string): void {
      heldBack = message
      pendingSinceMs = null
      metrics.inForce.set(0)
    },

    /** The last policy that was in force is taken, for want of another. */
    fallenBack(ir: PolicyIr, options: AcceptedPolicy = {}): void {
      accepted = ir
      leftOut = options.leftOut ?? []
    },

    /** @param faults  one line each */
    policyRefused(faults: readonly string[], from: 'file' | 'daemon' = 'file'): void {
      fileFaults = faults
      metrics.policyLoads.inc({ outcome: 'refused' })
      metrics.policyFaults.set(faults.length)
      log.error(
        { faults },
        from === 'file'
          ? 'the policy file has faults; what was in force stays in force'
          : 'the policy that the daemon gave has faults; what was in force stays in force',
      )
    },

    policyUnreadable(message: string): void {
      fileFaults = [message]
      metrics.policyLoads.inc({ outcome: 'unreadable' })
      metrics.policyFaults.set(1)
      log.error({ reason: message }, 'the policy file cannot be read; what was in force stays in force')
    },

    /** @param suspect  who changed the ruleset last, for an outcome that puts a stranger's change right; may be empty */
    report(outcome: Outcome, suspect: string): void {
      if (outcome.kind === 'refused') {
        const { error, retryInMs } = outcome
        refusal = error.message
        metrics.inForce.set(0)
        metrics.transactions.inc({ outcome: error instanceof NftError ? error.kind : 'unknown' })
        log.error({ error, retryInMs }, 'the change was refused; the ruleset before it stays in force')
        return
      }
      const isSamePolicy = outcome.policy === enforced
      reached(outcome)
      if (outcome.kind === 'unchanged' && outcome.cause === 'policy') log.info('in force already')
      if (outcome.kind !== 'applied') return
      const { cause, plan, summary, seconds, nftSeconds, drifted, untracked } = outcome
      const elements = countElements(plan.transactions)
      metrics.transactions.inc({ outcome: 'applied' })
      metrics.transactionDuration.observe(seconds)
      metrics.elementsChanged.inc({ operation: 'add' }, elements.added)
      metrics.elementsChanged.inc({ operation: 'delete' }, elements.deleted)
      metrics.stampsRaised.inc(plan.raised.length)
      const told = { cause, change: summary, seconds, nftSeconds, judgedAgain: plan.raised }
      if (drifted) {
        metrics.driftHealed.inc()
        const changedBy = suspect || 'unknown'
        lastDrift = { time: new Date().toISOString(), changedBy }
        log.warn({ ...told, changedBy }, 'somebody changed our table; it is as it should be again')
      } else if (isSamePolicy && (cause === 'check' || cause === 'drift')) {
        log.info(told, 'kept in force')
      } else {
        log.info(told, 'in force')
      }
      if (untracked !== null) {
        lastUntracked = untracked
        log.warn(
          untracked,
          'cannot enter open sessions into connection tracking; one whose far end speaks first may be cut',
        )
      }
    },

    health(): AgentHealth {
      const inForce = enforced !== null && enforced === accepted && refusal === null
      const waitsFor = accepted === null ? 'no policy has been read yet' : 'the policy is being put in force'
      const reasons = [...fileFaults, ...[heldBack, refusal].filter(reason => reason !== null)]
      const waiting = !inForce && reasons.length === 0
      return {
        healthy: inForce && reasons.length === 0,
        inForce,
        problems: [...reasons, ...(waiting ? [waitsFor] : [])],
        enis: eniStates(),
        lastDrift,
        untracked: lastUntracked,
      }
    },
  }
}
