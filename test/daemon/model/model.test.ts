/**
 * The API against a reference model: the same random operations to both, the same answers and refusals from both, the
 * same state in the end, and policies for agents that mean the same. RINGWALL_SEED repeats a run, RINGWALL_MODEL_RUNS
 * says how many sequences there are.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { arbitraryOperation } from './operations.ts'
import { Stage } from './sequences.ts'

const seed = Number(process.env.RINGWALL_SEED ?? 20_261_126)
const runs = Number(process.env.RINGWALL_MODEL_RUNS ?? 400)

describe('the API and the reference model', () => {
  let stage: Stage
  before(async () => {
    stage = await Stage.open()
  })
  after(() => stage[Symbol.asyncDispose]())

  test(`agree on ${runs} random sequences of operations`, { timeout: 60_000 + runs * 2500 }, async () => {
    const sequences = fc.array(arbitraryOperation, { minLength: 1, maxLength: 40, size: 'max' })
    const result = await fc.check(
      fc.asyncProperty(sequences, operations => stage.play(operations)),
      { seed, numRuns: runs, endOnFailure: false },
    )
    if (result.failed) assert.fail(`seed ${seed}, ${(result.errorInstance as Error).message}`)
    const { done, refused, refusals } = stage.tally
    assert.ok(done > 0.3 * (done + refused) && refused > 0.2 * (done + refused), `${done} done, ${refused} refused`)
    if (runs < 200) return
    for (const refusal of expectedRefusals)
      assert.ok(refusals.has(refusal), `nothing was refused as ${refusal}: ${[...refusals.keys()]}`)
  })
})

/** That every run of some length meets: a refusal that is never met is not compared. */
const expectedRefusals = [
  '400 InvalidParameter',
  '400 MissingParameter',
  '400 InvalidAccountId.NotFound',
  '400 InvalidAgentId.NotFound',
  '400 InvalidEniId.NotFound',
  '400 InvalidInstanceId.NotFound',
  '400 InvalidPortRangeListId.NotFound',
  '400 InvalidPrefixListId.NotFound',
  '400 InvalidSecurityGroupId.NotFound',
  '400 InvalidSecurityGroupAssociation.NotFound',
  '400 InvalidSecurityGroupRuleId.NotFound',
  '403 Forbidden',
  '403 LimitExceeded',
  '404 InvalidEniId.NotFound',
  '404 InvalidInstanceId.NotFound',
  '404 InvalidPortRangeListId.NotFound',
  '404 InvalidPrefixListId.NotFound',
  '404 InvalidSecurityGroupId.NotFound',
  '404 InvalidSecurityGroupRuleId.NotFound',
  '409 Conflict',
  '409 DependencyViolation',
  '409 IdAlreadyExists',
  '409 InstanceLastSecurityGroup',
  '409 InvalidOperation.DetachPrimaryEniNotAllowed',
  '409 InvalidOperation.InvalidEniState',
]
