/** A stream of rulesets that differ in everything, some of them large, so that a transaction takes its time. */
import fc from 'fast-check'
import { compile } from '../../rules-compiler/nft/compile.ts'
import type { Ruleset } from '../../rules-compiler/nft/ruleset.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { arbitraryIr } from './arbitrary-ir.ts'
import { makeEni, makeIr, makeRule } from './ir.ts'

/** The same at each call; no two of them alike. */
export function streamedRulesets(): readonly Ruleset[] {
  const small = fc.sample(arbitraryIr, { numRuns: 8, seed: 7 }).filter(ir => ir.enis.length > 0)
  const large = [1, 2, 3].map(makeLarge)
  return [...large, ...small].map((ir, index) =>
    compile({ ...ir, sessionTimeoutSeconds: 600 + index, ctMarkMask: 0xffffff00 }),
  )
}

/** Some hundred blocks and some thousand members: more than a pipe holds, so that a kill can cut the input in two. */
function makeLarge(generation: number): PolicyIr {
  const blocks = Array.from({ length: 400 }, (_, index) =>
    makeRule({
      id: `sgr-${index}`,
      protocol: 'tcp',
      ports: 1 + ((index * generation) % 1000),
      peer: `10.${generation}.${index >> 8}.${index & 255}/32`,
    }),
  )
  const members = Array.from({ length: 3000 }, (_, index) => `198.18.${(index >> 8) + generation}.${index & 255}`)
  const byGroup = makeRule({ id: 'by-group', protocol: 'udp', ports: generation, peer: 'sg-big' })
  return makeIr(makeEni([...blocks, byGroup], { device: `eth${generation}` }), {
    'sg-big': { ip: members.sort(), ip6: [] },
  })
}
