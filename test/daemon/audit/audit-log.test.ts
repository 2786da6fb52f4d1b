/** The audit log: each write once, in order, whoever is killed and whatever is full; found again by what it says. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { createLogger } from '../../../common/log.ts'
import { type AuditLog, openAuditLog } from '../../../daemon/audit/audit-log.ts'
import type { AuditEvent } from '../../../daemon/audit/event.ts'
import type { Note } from '../../../daemon/model/note.ts'
import { openSqliteStore } from '../../../daemon/store/sqlite.ts'
import type { Store } from '../../../daemon/store/store.ts'
import { MemoryStore } from '../../support/memory-store.ts'

const note = (number: number): Note => ({
  action: number % 2 === 0 ? 'ringwall:Even' : 'ringwall:Odd',
  principal: { kind: 'token', id: `token-${number % 3}`, name: 'somebody' },
  sourceAddress: '198.18.0.9',
  requestId: `request-${number}`,
})

let folder = ''
let warnings: string[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringwall-audit-'))
  warnings = []
})
afterEach(() => rmSync(folder, { recursive: true }))

const path = () => join(folder, 'audit.jsonl')

interface Failures {
  count: number
}

function open(
  store: Store,
  options: { maxBytes?: number; keptFiles?: number; failures?: Failures; onStoreWentBack?: () => Promise<void> } = {},
): Promise<AuditLog> {
  const { failures = { count: 0 }, ...others } = options
  return openAuditLog({
    path: path(),
    store,
    log: createLogger('test', 'info', { write: line => void warnings.push(line) }),
    metrics: {
      auditFailures: {
        inc() {
          failures.count += 1
        },
      },
    },
    ...others,
  })
}

function commitAccount(store: Store, number: number, fields: Record<string, unknown> = {}) {
  const value = { id: String(number), name: `account ${number}`, description: null, createdAtMs: 0, ...fields }
  return store.commit({ writes: [{ key: `account/${number}`, value }], note: note(number) })
}

/** As the file has them, the oldest first. */
function events(file = path()): AuditEvent[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  assert.equal(lines.pop(), '', 'the last line has its line break')
  return lines.map(line => JSON.parse(line))
}

const revisions = (file?: string) => events(file).map(({ revision }) => revision)
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1)

function refusal(number: number) {
  return {
    note: note(number),
    method: 'DELETE',
    url: '/v1/security-groups/sg-1/rules/sgr-1?wait=enforced',
    status: 403,
    code: 'Forbidden',
    message: 'no',
  }
}

describe('lines', () => {
  test('say who, from where, what, and which fields were what before and after', async () => {
    const store = new MemoryStore({ now: () => 0 })
    const audit = await open(store)
    await store.watch(1, () => audit.committed())
    await commitAccount(store, 1)
    await commitAccount(store, 1, { name: 'renamed' })
    await store.commit({ writes: [{ key: 'account/1', value: null }], note: note(2) })
    await audit.settled()
    const [made, renamed, deleted] = events()
    assert.deepEqual(made, {
      time: '1970-01-01T00:00:00.000Z',
      requestId: 'request-1',
      principal: { kind: 'token', id: 'token-1', name: 'somebody' },
      sourceAddress: '198.18.0.9',
      action: 'ringwall:Odd',
      outcome: 'done',
      code: null,
      status: null,
      revision: 1,
      objects: ['account/1'],
      changes: [
        {
          key: 'account/1',
          before: null,
          after: { accountId: '1', name: 'account 1', description: null, createTime: '1970-01-01T00:00:00.000Z' },
        },
      ],
      detail: null,
    })
    assert.deepEqual(renamed!.changes, [
      { key: 'account/1', before: { name: 'account 1' }, after: { name: 'renamed' } },
    ])
    assert.deepEqual(deleted!.changes[0]!.after, null)
    assert.equal(statSync(path()).mode & 0o777, 0o600)
  })

  test('of lists say what came, went and changed', async () => {
    const store = new MemoryStore()
    const audit = await open(store)
    const rules = (...items: object[]) => ({ key: 'group/sg-1', value: { rules: items } })
    await store.commit({ writes: [rules({ id: 'a', p: 1 }, { id: 'b', p: 1 }, { id: 'c', p: 1 })], note: note(1) })
    await store.commit({ writes: [rules({ id: 'b', p: 2 }, { id: 'c', p: 1 }, { id: 'd', p: 1 })], note: note(2) })
    await audit.close()
    assert.deepEqual(events()[1]!.changes, [
      {
        key: 'group/sg-1',
        before: { rules: { removed: [{ id: 'a', p: 1 }], changed: [{ id: 'b', p: 1 }] } },
        after: { rules: { added: [{ id: 'd', p: 1 }], changed: [{ id: 'b', p: 2 }] } },
      },
    ])
  })

  test('have no secrets, and none of what is kept for repetitions', async () => {
    const store = new MemoryStore()
    const audit = await open(store)
    const secret = (key: string, value: object) => ({ key, value: { ...value, name: 'shown' } })
    await store.commit({
      writes: [
        secret('token/t', { secretSha256: 'HIDDEN' }),
        secret('enrolment/e', { secretSha256: 'HIDDEN' }),
        secret('authority/agents', { privateKey: 'HIDDEN' }),
        secret('idempotency/i', { body: 'HIDDEN' }),
      ],
      note: note(1),
    })
    await store.commit({ writes: [secret('token/t', { secretSha256: 'HIDDEN too' })], note: note(2) })
    await store.commit({ writes: [secret('idempotency/j', { body: 'HIDDEN' })], note: note(3) })
    await store.commit({ writes: [secret('account/a', {})] })
    await store.commit({ writes: [{ key: 'token/t', value: null }], note: note(5) })
    await audit.close()
    assert.doesNotMatch(readFileSync(path(), 'utf8'), /HIDDEN|idempotency/)
    assert.deepEqual(revisions(), [1, 2, 5])
    assert.deepEqual(events()[0]!.objects, ['token/t', 'enrolment/e', 'authority/agents'])
  })

  test('of what strangers try are so many of one source, and those of clients are there all the same', async () => {
    const store = new MemoryStore()
    const audit = await open(store)
    await commitAccount(store, 1)
    const { note: known } = refusal(0)
    const strangers = [
      { kind: 'token', id: '', name: 'unknown' },
      { kind: 'key', id: 'made-up', name: 'unknown' },
      { kind: 'enrolment', id: '', name: 'unknown' },
    ] as const
    for (let count = 0; count < 50; count += 1) {
      const principal = strangers[count % strangers.length]!
      for (const sourceAddress of [`2001:db8:1:2::${count}`, '198.18.0.1']) {
        audit.refused({ ...refusal(2), note: { ...known, principal, sourceAddress } })
      }
    }
    audit.refused(refusal(3))
    await audit.close()
    const ofStrangers = events().filter(({ principal }) => principal.name === 'unknown')
    assert.equal(ofStrangers.filter(({ sourceAddress }) => sourceAddress === '198.18.0.1').length, 30)
    assert.equal(ofStrangers.length, 60)
    assert.equal(events().at(-1)?.requestId, 'request-3')
  })

  test('of refused writes stand where they came, with what their path names', async () => {
    const store = new MemoryStore()
    const audit = await open(store)
    await commitAccount(store, 1)
    audit.refused(refusal(2))
    audit.refused({ ...refusal(3), status: 429 })
    await commitAccount(store, 4)
    audit.acted(note(5), 'backup of revision 2')
    await audit.close()
    const [, refused, , acted] = events()
    assert.deepEqual(
      events().map(({ requestId, revision }) => [requestId, revision]),
      [
        ['request-1', 1],
        ['request-2', 1],
        ['request-4', 2],
        ['request-5', 2],
      ],
    )
    const { outcome, status, code, objects, detail } = refused!
    assert.deepEqual(
      { outcome, status, code, objects, detail },
      {
        outcome: 'refused',
        status: 403,
        code: 'Forbidden',
        objects: ['group/sg-1'],
        detail: 'DELETE /v1/security-groups/sg-1/rules/sgr-1?wait=enforced: no',
      },
    )
    assert.deepEqual([acted!.outcome, acted!.detail], ['done', 'backup of revision 2'])
  })

  test('of a commit of very much name the first thousand objects, or leave out what they were', async () => {
    const store = new MemoryStore()
    const audit = await open(store)
    const writes = Array.from({ length: 1001 }, (_, index) => ({ key: `account/${index}`, value: { name: 'x' } }))
    await store.commit({ writes, note: note(1) })
    await store.commit({ writes: [{ key: 'account/0', value: { name: 'x'.repeat(2_000_000) } }], note: note(2) })
    await audit.close()
    const [many, large] = events()
    assert.deepEqual([many!.objects.length, many!.changes.length], [1000, 0])
    assert.match(many!.detail!, /^1001 objects/)
    assert.deepEqual([large!.objects, large!.changes], [['account/0'], []])
  })
})

describe('after the daemon was killed', () => {
  test('between commit and line, the line is added', async () => {
    const store = new MemoryStore()
    for (const number of [1, 2, 3]) await commitAccount(store, number)
    await (await open(store)).close()
    for (const number of [4, 5]) await commitAccount(store, number)
    await (await open(store)).close()
    await (await open(store)).close()
    assert.deepEqual(revisions(), [1, 2, 3, 4, 5])
  })

  test('within a line, it is cut and written again, and said so', async () => {
    const store = new MemoryStore()
    for (const number of [1, 2, 3]) await commitAccount(store, number)
    await (await open(store)).close()
    const whole = readFileSync(path(), 'utf8')
    const lastStart = whole.lastIndexOf('\n', whole.length - 2) + 1
    for (const size of [lastStart + 1, lastStart + 40, whole.length - 2]) {
      truncateSync(path(), size)
      warnings = []
      await (await open(store)).close()
      assert.equal(readFileSync(path(), 'utf8'), whole)
      assert.match(warnings.join(), /"repair":"cut"/)
    }
  })

  test('before a line’s end, only that is missing', async () => {
    const store = new MemoryStore()
    await commitAccount(store, 1)
    await (await open(store)).close()
    truncateSync(path(), statSync(path()).size - 1)
    await commitAccount(store, 2)
    await (await open(store)).close()
    assert.deepEqual(revisions(), [1, 2])
    assert.match(warnings.join(), /"repair":"completed"/)
  })

  test('within the first line of all', async () => {
    const store = new MemoryStore()
    await commitAccount(store, 1)
    writeFileSync(path(), '{"time":"2026')
    await (await open(store)).close()
    assert.deepEqual(revisions(), [1])
  })

  test('between two renames of a rotation', async () => {
    const store = new MemoryStore()
    const options = { maxBytes: 1000, keptFiles: 5 }
    for (const number of upTo(8)) await commitAccount(store, number)
    const first = await open(store, options)
    await first.close()
    // As if the rename to .1 had been the last thing done.
    const moved = `${path()}.1`
    if (existsSync(moved)) rmSync(moved)
    writeFileSync(moved, readFileSync(path()))
    rmSync(path())
    await commitAccount(store, 9)
    await (await open(store, options)).close()
    assert.deepEqual(revisions(), [9])
  })

  test('with kill -9, again and again: each commit has one line', async () => {
    const storePath = join(folder, 'store.db')
    for (let round = 0; round < 6; round += 1) {
      const child = spawn(process.execPath, [join(import.meta.dirname, 'audited-writer.ts'), storePath, path()], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const exited = once(child, 'exit')
      let seen = 0
      for await (const _line of createInterface({ input: child.stdout })) {
        seen += 1
        if (seen === 5 + round * 7) child.kill('SIGKILL')
      }
      await exited
      assert.ok(seen >= 5 + round * 7, 'it wrote')
    }
    const store = await openSqliteStore(storePath)
    await (await open(store)).close()
    const done = events().filter(({ outcome }) => outcome === 'done')
    assert.deepEqual(
      done.map(({ revision }) => revision),
      upTo(store.head()),
    )
    await store.close()
  })
})

describe('where history is short', () => {
  test('what it has forgotten is told as missing', async () => {
    const store = new MemoryStore()
    for (const number of upTo(9)) await commitAccount(store, number)
    await store.compact(6)
    await (await open(store)).close()
    assert.deepEqual(revisions(), [5, 6, 7, 8, 9])
    assert.deepEqual(events()[0]!.action, 'ringwall:AuditGap')
    assert.match(events()[0]!.detail!, /revisions 1 to 5 are missing/)
  })

  test('an older store in place of the one that was audited goes on from where it is, and nothing of it is left out', async () => {
    const store = new MemoryStore()
    for (const number of upTo(9)) await commitAccount(store, number)
    const seen: number[][] = []
    const onStoreWentBack = async () => void seen.push(revisions())
    await (await open(store, { onStoreWentBack })).close()
    const older = new MemoryStore()
    for (const number of upTo(4)) await commitAccount(older, number)
    await open(older, { onStoreWentBack })
    // Killed between the commit and its line, before it has written any other.
    await commitAccount(older, 5)
    await (await open(older, { onStoreWentBack })).close()
    assert.deepEqual(seen, [upTo(9)], 'once, before it is noted')
    assert.deepEqual(revisions(), [...upTo(9), 4, 5])
    assert.equal(events().at(-2)!.detail, 'revisions 5 to 9 are no more: an older state was put in their place')
    assert.match(warnings.join(), /ahead of the store/)
  })

  test('a file that cannot be read is named', async () => {
    mkdirSync(path())
    await assert.rejects(open(new MemoryStore()), {
      message: `Cannot read audit log "${path()}": EISDIR: illegal operation on a directory, read`,
    })
  })
})

describe('files', () => {
  test('are begun anew when they are full, so many are kept, and nothing is written twice or left out', async () => {
    const store = new MemoryStore()
    const audit = await open(store, { maxBytes: 2000, keptFiles: 3 })
    for (const number of upTo(40)) {
      await commitAccount(store, number)
      audit.committed()
      await audit.settled()
    }
    await audit.close()
    const names = readdirSync(folder).sort()
    assert.deepEqual(names, ['audit.jsonl', 'audit.jsonl.1', 'audit.jsonl.2', 'audit.jsonl.3'])
    for (const name of names) {
      assert.ok(statSync(join(folder, name)).size <= 2000, name)
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600)
    }
    const all = names.toReversed().flatMap(name => revisions(join(folder, name)))
    assert.equal(all.at(-1), 40)
    assert.deepEqual(all, upTo(40).slice(-all.length))
  })
})

describe('search', () => {
  async function filled(): Promise<AuditLog> {
    const store = new MemoryStore({ now: () => 60_000 * (store.head() + 1) })
    const audit = await open(store, { maxBytes: 4000, keptFiles: 20 })
    for (const number of upTo(60)) {
      await commitAccount(store, number)
      if (number % 10 === 0) audit.refused(refusal(number))
      audit.committed()
      await audit.settled()
    }
    return audit
  }

  async function all(audit: AuditLog, filter: object, maxEvents = 7, maxScanBytes?: number) {
    const found: AuditEvent[] = []
    let from = null
    let pages = 0
    do {
      const options = { filter, maxEvents, from, ...(maxScanBytes !== undefined && { maxScanBytes }) }
      const page = await audit.search(options)
      found.push(...page.events)
      from = page.next
      pages += 1
      assert.ok(pages < 1000, 'it ends')
    } while (from !== null)
    return { found, pages }
  }

  test('gives every line once, newest first, over all files', async () => {
    const audit = await filled()
    const { found } = await all(audit, {})
    const done = found.filter(({ outcome }) => outcome === 'done')
    assert.deepEqual(
      done.map(({ revision }) => revision),
      upTo(60).toReversed(),
    )
    assert.equal(found.length, 66)
    await audit.close()
  })

  test('goes on where it was, whatever is written and moved meanwhile', async () => {
    const audit = await filled()
    const first = await audit.search({ filter: {}, maxEvents: 10, from: null })
    for (const number of upTo(30)) audit.refused(refusal(number))
    await audit.settled()
    const rest = []
    let from = first.next
    while (from !== null) {
      const page = await audit.search({ filter: {}, maxEvents: 10, from })
      rest.push(...page.events)
      from = page.next
    }
    assert.equal(first.events.length + rest.length, 66)
    assert.ok(
      rest.every(
        event =>
          !first.events.some(({ requestId, outcome }) => requestId === event.requestId && outcome === event.outcome),
      ),
    )
    await audit.close()
  })

  test('ends where the file it was in is gone', async () => {
    const audit = await filled()
    const page = await audit.search({ filter: {}, maxEvents: 60, from: null })
    const oldest = readdirSync(folder)
      .toSorted((a, b) => Number(a.split('.')[2] ?? 0) - Number(b.split('.')[2] ?? 0))
      .at(-1)!
    rmSync(join(folder, oldest))
    assert.deepEqual(await audit.search({ filter: {}, maxEvents: 60, from: page.next }), { events: [], next: null })
    await audit.close()
  })

  for (const [name, filter, count] of [
    ['action', { action: 'ringwall:Even' }, 36],
    ['principal', { principalId: 'token-1' }, 22],
    ['outcome', { outcome: 'refused' }, 6],
    ['key', { key: 'group/sg-1' }, 6],
    ['key of an account', { key: 'account/33' }, 1],
    ['request', { requestId: 'request-20' }, 2],
    ['time', { sinceMs: 60_000 * 11, untilMs: 60_000 * 21 }, 10],
    ['several', { outcome: 'done', action: 'ringwall:Even', key: 'account/10' }, 1],
    ['none', { action: 'ringwall:None' }, 0],
  ] as const) {
    test(`by ${name}`, async () => {
      const audit = await filled()
      assert.equal((await all(audit, filter)).found.length, count)
      await audit.close()
    })
  }

  test('reads so much and no more for one page, and finds it all the same', async () => {
    const audit = await filled()
    const { found, pages } = await all(audit, { key: 'account/1' }, 100, 2000)
    assert.equal(found.length, 1)
    assert.ok(pages > 5, `${pages} pages`)
    await audit.close()
  })

  test('passes over lines that are none', async () => {
    const audit = await filled()
    appendFileSync(path(), 'nonsense\n{"time":1}\nnull\n')
    assert.equal((await all(audit, {})).found.length, 66)
    await audit.close()
  })

  test('reads lines longer than what it reads at once', async () => {
    const store = new MemoryStore()
    const audit = await open(store)
    const long = 'ü'.repeat(100_000)
    for (const number of [1, 2, 3]) await commitAccount(store, number, { name: `${long}${number}` })
    audit.refused(refusal(4))
    await audit.settled()
    const { found } = await all(audit, { outcome: 'done' }, 1)
    assert.deepEqual(
      found.map(({ changes }) => (changes[0]!.after as { name: string }).name),
      [3, 2, 1].map(number => `${long}${number}`),
    )
    await audit.close()
  })
})

/** Of a mount namespace of its own: the file system goes with its last process. */
const ownMount = ['--mount', '--propagation', 'private', 'sh', '-c']
const { status, stderr } = spawnSync('unshare', [...ownMount, 'mount -t tmpfs tmpfs /mnt'], { encoding: 'utf8' })
const needsMounts = status === 0 ? false : `unshare: ${stderr?.trim()}`

test('a full disk stops nothing; what is missing is added when there is space', { skip: needsMounts }, async () => {
  const small = join(folder, 'small')
  mkdirSync(small)
  const script = 'mount -t tmpfs -o size=64k,mode=700 tmpfs "$1" && exec "$2" "$3" "$1" "$4"'
  const args = [...ownMount, script, 'sh', small, process.execPath, join(import.meta.dirname, 'full-disk.ts'), folder]
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  assert.deepEqual([code, errors, stdout], [0, '', 'complete\n'])
})
