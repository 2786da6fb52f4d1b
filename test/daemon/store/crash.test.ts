/** kill -9 at random instants: what was acknowledged is there, and nothing half. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { readBackup } from '../../../daemon/store/backup.ts'
import { openSqliteStore } from '../../../daemon/store/sqlite.ts'
import type { Entry } from '../../../daemon/store/store.ts'
import { makeRandom } from '../../support/random.ts'
import { expectedCommit, Replay, withoutBefore } from './numbered-commits.ts'

const seed = Number(process.env.RINGWALL_SEED ?? Date.now() % 2 ** 32)
// Shown where something fails.
console.log(`RINGWALL_SEED=${seed}`)
const random = makeRandom(seed)

interface KillOptions {
  readonly longestMs: number
  readonly isTime: (printed: readonly string[]) => boolean
}

/** A writer that has loaded its code and does nothing yet: loading takes longer than most of them live. */
class Writer {
  readonly printed: string[] = []
  readonly #process: ChildProcess
  readonly #lines: Interface
  readonly #loaded: Promise<unknown>
  readonly #ended: Promise<unknown>

  constructor(cache: string) {
    this.#process = spawn(process.execPath, [join(import.meta.dirname, 'writer.ts')], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
    })
    this.#lines = createInterface({ input: this.#process.stdout! })
    this.#lines.on('line', line => this.printed.push(line))
    this.#loaded = once(this.#lines, 'line')
    this.#ended = Promise.all([once(this.#process, 'close'), once(this.#lines, 'close')])
  }

  /**
   * @param isTime  of what it has printed after it was given the task: whether the time begins within which it is killed
   * @returns what it printed in the end
   */
  async killWithin(task: string, { longestMs, isTime }: KillOptions): Promise<readonly string[]> {
    await this.#loaded
    this.#process.stdin!.write(`${task}\n`)
    while (!isTime(this.printed.slice(1))) await Promise.race([once(this.#lines, 'line'), this.#ended])
    // No event to wait for: the instant is to be any.
    await setTimeout(random.integer(0, longestMs))
    assert.equal(this.#process.exitCode, null, 'the writer ended by itself')
    this.#process.kill('SIGKILL')
    await this.#ended
    return this.printed.slice(1)
  }
}

/** `npm run soak:kill` makes hundreds of them. */
const kills = Number(process.env.RINGWALL_KILLS ?? 60)
const shortKills = Math.max(20, Math.ceil(kills / 8))
const timeout = 120_000 + kills * 5000

interface KillsOptions {
  readonly count: number
  readonly longestMs: number
  /** Every second one is killed in the thick of it, however slow that is: when it has printed such a thing. */
  readonly inTheThick: (printed: readonly string[]) => boolean
  readonly folder: string
  readonly nextTask: () => string
  readonly check: (printed: readonly string[]) => Promise<void>
}

/** As many writers as kills; the next one loads its code while one is at work. */
async function killWriters({ count, longestMs, inTheThick, folder, nextTask, check }: KillsOptions): Promise<void> {
  const makeWriter = () => new Writer(join(folder, 'cache'))
  let waiting = makeWriter()
  for (let number = 1; number <= count; number += 1) {
    const writer = waiting
    if (number < count) waiting = makeWriter()
    const isTime = number % 2 === 0 ? inTheThick : () => true
    const printed = await writer.killWithin(nextTask(), { longestMs, isTime })
    await check(printed)
  }
}

/** Revisions end with a line end; a last line without one was not acknowledged. */
const lastRevision = (printed: readonly string[]) => Number(printed.findLast(line => /^\d+$/.test(line)) ?? 0)

/** @param killed  how many writers since something was acknowledged */
async function checkStore(path: string, acknowledged: number, killed: number, replay: Replay): Promise<void> {
  const store = await openSqliteStore(path)
  try {
    const { revision, entries } = await store.list('')
    const told = `${revision}, not ${acknowledged}`
    assert.ok(revision >= acknowledged, `${told}: an acknowledged commit is lost`)
    assert.ok(revision <= acknowledged + killed, `${told}: one a writer, that under way, may be there unacknowledged`)
    replay.advance(revision)
    assertReplayed(entries, replay)
    const history = await store.history(Math.max(store.oldest(), revision - 100), 200)
    assert.equal(history.at(-1)?.revision ?? 0, revision)
    const wrong = history.filter(commit => !isDeepStrictEqual(withoutBefore(commit), expectedCommit(commit.revision)))
    assert.deepEqual(
      wrong.map(commit => commit.revision),
      [],
    )
  } finally {
    await store.close()
  }
}

/** Says which keys are wrong: whole documents would fill pages. */
function assertReplayed(entries: readonly Entry[], replay: Replay): void {
  const expected = replay.entries
  assert.deepEqual(
    entries.map(({ key, revision }) => [key, revision]),
    expected.map(({ key, revision }) => [key, revision]),
  )
  const wrong = entries.filter((entry, index) => !isDeepStrictEqual(entry, expected[index]))
  assert.deepEqual(
    wrong.map(({ key }) => key),
    [],
  )
}

describe('a writer that is killed', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringwall-crash-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  test(`${kills} times while it commits and compacts has lost nothing it acknowledged`, { timeout }, async () => {
    const path = join(folder, 'store.db')
    const replay = new Replay()
    let acknowledged = 0
    let written = 0
    /** Each may have made one commit that it did not come to acknowledge. */
    let killed = 0
    await killWriters({
      count: kills,
      longestMs: 60,
      inTheThick: printed => printed.length > 3,
      folder,
      nextTask: () => `commit ${path}`,
      async check(printed) {
        killed += 1
        if (printed.length > 0) {
          const first = Number(printed[0])
          assert.ok(first > acknowledged && first <= acknowledged + killed, `${first} follows ${acknowledged}`)
          acknowledged = lastRevision(printed)
          killed = 1
          written += printed.length
        }
        // Most times the next writer finds what the kill has left; closing it here would tidy up.
        if (random.chance(0.7)) return
        await checkStore(path, acknowledged, killed, replay)
        acknowledged = replay.head
        killed = 0
      },
    })
    await checkStore(path, acknowledged, killed, replay)
    assert.ok(written > kills, 'hardly anything was written')
  })

  test(`${shortKills} times while it makes a store leaves a store or none`, { timeout }, async () => {
    let path = ''
    await killWriters({
      count: shortKills,
      longestMs: 12,
      inTheThick: () => true,
      folder,
      nextTask() {
        path = join(mkdtempSync(join(folder, 'new-')), 'store.db')
        return `commit ${path}`
      },
      check: async printed => checkStore(path, lastRevision(printed), 1, new Replay()),
    })
  })

  test(`${shortKills} times while it makes backups leaves whole ones or none`, { timeout }, async () => {
    const path = join(folder, 'backed-up.db')
    const backups = join(folder, 'backups')
    mkdirSync(backups)
    const replay = new Replay()
    let made = 0
    await killWriters({
      count: shortKills,
      longestMs: 200,
      inTheThick: printed => printed.some(line => line.endsWith('.backup')),
      folder,
      nextTask: () => `backup ${path} ${backups}`,
      async check(printed) {
        await checkStore(path, Math.max(replay.head, lastRevision(printed)), 1, replay)
        const found = readdirSync(backups).filter(name => name.endsWith('.backup'))
        const promised = printed.filter(line => line.endsWith('.backup'))
        assert.deepEqual(
          promised.filter(name => !found.includes(name.slice(backups.length + 1))),
          [],
        )
        for (const name of found) {
          const { revision, entries } = await readBackup(join(backups, name))
          const replayed = new Replay()
          replayed.advance(revision)
          assertReplayed(entries, replayed)
          rmSync(join(backups, name))
        }
        made += found.length
      },
    })
    assert.ok(made > 0, 'no backup was made')
  })
})
