/** An nft that stays and is asked line by line, in a namespace of its own. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { NftError } from '../../agent/nft/errors.ts'
import { createNft } from '../../agent/nft/exec.ts'
import { type NftSession, openNftSession } from '../../agent/nft/session.ts'
import { createNamespace, type Namespace } from '../../lab/netns.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const question = 'list counters table inet t'
const inside = (namespace: Namespace) => ['ip', 'netns', 'exec', namespace.name]

async function counting(namespace: Namespace) {
  const prefix = inside(namespace)
  const session = openNftSession({ prefix, timeoutMs: 60_000 })
  const nft = createNft({ prefix, session })
  const table = { family: 'inet', table: 't' } as const
  await nft.apply([
    { add: { table: { family: 'inet', name: 't' } } },
    { add: { counter: { ...table, name: 'lo' } } },
    { add: { chain: { ...table, name: 'c', type: 'filter', hook: 'output', prio: 0, policy: 'accept' } } },
    { add: { rule: { ...table, chain: 'c', expr: [{ counter: 'lo' }] } } },
  ])
  return { session, nft }
}

/** Processes with this session's command line in the namespace. */
function sessionPids(namespace: Namespace): readonly number[] {
  const pids = execFileSync('ip', ['netns', 'pids', namespace.name], { encoding: 'utf8' }).trim().split('\n')
  return pids.filter(pid => pid !== '').map(Number)
}

async function ask(session: NftSession): Promise<number> {
  const { nftables } = JSON.parse(await session.ask(question)) as { nftables: { counter?: { packets: number } }[] }
  return nftables.flatMap(({ counter }) => counter?.packets ?? [])[0]!
}

describe('a session with nft', { skip: needsKernel }, () => {
  test('tells at each question what was counted until then, and of objects that are new', async () => {
    await using namespace = await createNamespace('session')
    const { session, nft } = await counting(namespace)
    assert.equal(await ask(session), 0)
    for (const packets of [2, 4]) {
      await namespace.run('ping', ['-n', '-c', '1', '-W', '20', '127.0.0.1'])
      assert.equal(await ask(session), packets)
    }
    await nft.apply([{ add: { counter: { family: 'inet', table: 't', name: 'new' } } }])
    assert.deepEqual([...(await nft.listCounters('inet', 't'))!.keys()].toSorted(), ['lo', 'new'])
    assert.equal(sessionPids(namespace).length, 1)
    await session.close()
    assert.deepEqual(sessionPids(namespace), [])
  })

  test('says what is missing, and goes on', async () => {
    await using namespace = await createNamespace('session')
    const { session, nft } = await counting(namespace)
    const missing = session.ask('list counters table inet nothing')
    await assert.rejects(missing, (error: NftError) => error.kind === 'not-found')
    assert.equal(await ask(session), 0)
    assert.equal(await nft.listCounters('inet', 'nothing'), null)
    await session.close()
  })

  test('that is ended is begun anew at the next question', async () => {
    await using namespace = await createNamespace('session')
    const { session, nft } = await counting(namespace)
    assert.equal(await ask(session), 0)
    const [pid] = sessionPids(namespace)
    process.kill(pid!, 'SIGSTOP')
    const cut = ask(session)
    process.kill(pid!, 'SIGKILL')
    await assert.rejects(cut, /SIGKILL/)
    assert.equal(await ask(session), 0)
    assert.deepEqual([...(await nft.listCounters('inet', 't'))!.keys()], ['lo'])
    await session.close()
  })

  test('leaves the sets of other tables unread: it stays small beside 50,000 members', async () => {
    await using namespace = await createNamespace('session')
    const { session, nft } = await counting(namespace)
    const set = { family: 'inet', table: 'policy', name: 's' } as const
    const elem = [...Array(50_000).keys()].map(index => `10.0.${index >> 8}.${index & 255}`)
    await nft.apply([
      { add: { table: { family: 'inet', name: 'policy' } } },
      { add: { set: { ...set, type: 'ipv4_addr' } } },
    ])
    await nft.apply([{ add: { element: { ...set, elem } } }])
    assert.deepEqual([...(await nft.listCounters('inet', 't'))!.keys()], ['lo'])
    const [pid] = sessionPids(namespace)
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    // It has 5; with what it would read, 30 to 70.
    assert.ok(Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) < 16 * 1024, status)
    await session.close()
  })

  test('that is not asked for a while goes, and comes back at the next question', async () => {
    await using namespace = await createNamespace('session')
    await using stack = new AsyncDisposableStack()
    const { session, nft } = await counting(namespace)
    await session.close()
    const brief = openNftSession({ prefix: inside(namespace), timeoutMs: 60_000, idleMs: 50 })
    stack.defer(() => brief.close())
    assert.equal(await ask(brief), 0)
    await eventually(async () => assert.deepEqual(sessionPids(namespace), []))
    assert.equal(await ask(brief), 0)
    assert.deepEqual([...(await nft.listCounters('inet', 't'))!.keys()], ['lo'])
  })

  test('that does not answer is given up, and a process of its own asked instead', async () => {
    await using namespace = await createNamespace('session')
    const { session: patient, nft } = await counting(namespace)
    await patient.close()
    const session = openNftSession({ prefix: inside(namespace), timeoutMs: 50 })
    await session.ask(question).catch(() => {})
    const [pid] = sessionPids(namespace)
    // Where even the first answer took too long there is none to be stopped.
    if (pid !== undefined) process.kill(pid, 'SIGSTOP')
    const withSession = createNft({ prefix: inside(namespace), session })
    assert.deepEqual([...(await withSession.listCounters('inet', 't'))!.keys()], ['lo'])
    assert.equal((await nft.list('inet', 't'))?.length, 4)
    await session.close()
  })
})
