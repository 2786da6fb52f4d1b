/**
 * Enforces one ruleset after the other in a namespace until it is killed: what an agent does on a busy day. Tells its parent of each one it begins with.
 *
 * Usage: change-stream.ts NAMESPACE FIRST  (the number of the ruleset to begin with)
 */
import { createNft } from '../../agent/nft/exec.ts'
import { enforce } from './policy-paths.ts'
import { streamedRulesets } from './ruleset-stream.ts'

const [namespace = '', first = '0'] = process.argv.slice(2)
const nft = createNft({ prefix: ['ip', 'netns', 'exec', namespace] })
const rulesets = streamedRulesets()
// Bounded for the case that nobody kills it.
for (let turn = Number(first); turn < Number(first) + 1000; turn += 1) {
  process.send?.(turn)
  await enforce(nft, rulesets[turn % rulesets.length]!)
}
