/** Where the parts of one instance's defence put what they are made of. */
import type { ScrubStep } from '../model/traffic.ts'
import { count, drop } from '../nft/expressions.ts'
import { droppedCounter } from './names.ts'
import type { ScrubChain, ScrubSet } from './ruleset.ts'
import type { Limit, ScrubRule, ScrubStatement } from './statements.ts'

export class Scaffold {
  readonly instanceId: string
  readonly limits = new Map<string, Limit>()
  readonly sets = new Map<string, ScrubSet>()
  readonly chains = new Map<string, ScrubChain>()

  constructor(instanceId: string) {
    this.instanceId = instanceId
  }

  addChain(name: string, rules: readonly ScrubRule[]): void {
    this.chains.set(name, { base: null, rules })
  }

  /** @returns the name */
  addSet(name: string, set: Pick<ScrubSet, 'key' | 'size' | 'timeoutSeconds'> & Partial<ScrubSet>): string {
    this.sets.set(name, { counts: false, elements: new Map(), ...set })
    return name
  }

  /** A condition on a limit object. */
  limited(name: string, limit: Limit): ScrubStatement {
    this.limits.set(name, limit)
    return { limit: name }
  }

  dropAs(step: ScrubStep): readonly ScrubStatement[] {
    return [count(droppedCounter(this.instanceId, step)), drop]
  }
}
