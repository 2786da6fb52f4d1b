/** The kernel's table depends on the last policy only, and holds one whole policy whenever its changers are killed. */
import assert from 'node:assert/strict'
import * as childProcess from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { compile } from '../../rules-compiler/nft/compile.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { arbitraryIr } from '../support/arbitrary-ir.ts'
import { createKernelTable, type KernelTable } from '../support/kernel-table.ts'
import { enforce, pathsOf, tableState, walk } from '../support/policy-paths.ts'
import { needsKernel } from '../support/requirements.ts'
import { streamedRulesets } from '../support/ruleset-stream.ts'
import { judgedState } from '../support/transactions.ts'

const changeStream = `${import.meta.dirname}/../support/change-stream.ts`
const execFile = promisify(childProcess.execFile)

const sequences = fc
  .sample(fc.array(arbitraryIr, { minLength: 4, maxLength: 4 }), { numRuns: 10, seed: 3 })
  .map(irs => irs.map((ir): PolicyIr => ({ ...ir, ctMarkMask: irs[0]!.ctMarkMask })))

describe('ways to a policy', { skip: needsKernel }, () => {
  let table: KernelTable
  before(async () => {
    table = await createKernelTable('sequences')
  })
  after(() => table[Symbol.asyncDispose]())

  for (const [number, irs] of sequences.entries()) {
    test(`sequence ${number}`, async () => {
      const compiled = judgedState(compile(irs.at(-1)!))
      let names: readonly string[] | null = null
      for (const [way, path] of Object.entries(pathsOf(irs))) {
        await table.remove()
        await walk(table.nft, path)
        const state = await tableState(table.nft)
        names ??= state.names
        assert.deepEqual(state.names, names, way)
        assert.deepEqual(state.judged, compiled, way)
      }
    })
  }
})

type Victims = 'the changer' | 'its nft'

describe('kill -9 while changes stream in', { skip: needsKernel }, () => {
  let table: KernelTable
  before(async () => {
    table = await createKernelTable('kill')
  })
  after(() => table[Symbol.asyncDispose]())

  const wholeStates = streamedRulesets().map(ruleset => judgedState(ruleset).join('\n'))

  for (const victims of ['the changer', 'its nft'] as const satisfies Victims[]) {
    test(`${victims} killed`, async t => {
      await enforce(table.nft, streamedRulesets()[0]!)
      const seen = new Set<number>()
      for (let round = 0; round < 15; round += 1) {
        await changeAndKill(table, round, victims)
        const actual = await table.read()
        const state = wholeStates.indexOf(judgedState(actual!).join('\n'))
        assert.notEqual(state, -1, `round ${round}: the table holds no whole policy`)
        seen.add(state)
      }
      t.diagnostic(`stopped in ${seen.size} of ${wholeStates.length} states`)
      await enforce(table.nft, streamedRulesets()[1]!)
      assert.equal(judgedState((await table.read())!).join('\n'), wholeStates[1], 'what comes after converges')
    })
  }
})

/** Lets a changer go through some rulesets, then kills it or the nft it runs just then, and waits until both are gone. */
async function changeAndKill(table: KernelTable, round: number, victims: Victims): Promise<void> {
  const { name } = table.namespace
  const changer = childProcess.fork(changeStream, [name, String(round)], { silent: true })
  const gone = once(changer, 'exit')
  // It tells of each ruleset it begins with; the instants are spread over what one takes.
  for (let turn = 0; turn <= round % 3; turn += 1) await Promise.race([once(changer, 'message'), gone])
  await setTimeout((round * 7) % 60)
  if (victims === 'its nft') await killNft(name, changer)
  else changer.kill('SIGKILL')
  await gone
  while (isNamedByAny(name) || (await pidsInside(name)).length > 0) await setTimeout(5)
}

/** Whether a process is about to enter the namespace: it has its name in its command line, and loses that inside. */
function isNamedByAny(namespace: string): boolean {
  return readdirSync('/proc').some(pid => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(namespace)
    } catch {
      return false // It has ended meanwhile.
    }
  })
}

async function pidsInside(namespace: string): Promise<readonly number[]> {
  const { stdout } = await execFile('ip', ['netns', 'pids', namespace])
  return stdout
    .split('\n')
    .filter(line => line !== '')
    .map(Number)
}

/** Nothing but nft runs in the namespace. Its end ends the changer, which shows that it did not end by itself. */
async function killNft(namespace: string, changer: childProcess.ChildProcess): Promise<void> {
  while (changer.exitCode === null) {
    for (const pid of await pidsInside(namespace)) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended by itself.
      }
    }
    await setTimeout(1)
  }
}
