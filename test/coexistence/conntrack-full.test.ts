/**
 * A table of sessions that is full: those there are go on, no new one begins in any direction, and the doctor says so. The
 * limit is the machine's for each of its networks, and only its first network may change it: the table is filled.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { startPeer } from '../../lab/conversation.ts'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { isInForce, startAgent } from '../support/agent.ts'
import { acceptingPorts } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { applyPolicy, ringwallProgram } from '../support/ringwall.ts'
import { converse, eventually, patienceMs } from '../support/sessions.ts'

const outsideIp = '198.18.0.9'
const hostIp = '198.18.0.2'
const open = 7080
const closed = 7081
/** Sessions take some 400 bytes each: a machine that may have very many is not filled. */
const mostSessions = 600_000

const timeoutMs = 60_000
/** Of each test: a busy machine takes long to make so many sessions. */
const timeout = 300_000

const limit = readLimit()
const skip =
  needsKernel ||
  (limit === null || limit > mostSessions ? `needs a limit of at most ${mostSessions} sessions; it is ${limit}` : false)

function readLimit(): number | null {
  try {
    return Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_max', 'utf8'))
  } catch {
    return null
  }
}

/** Sessions that count as used, as conntrack-tools write them down; one alone may be put in place of an unused one. */
function* sessions(count: number): Generator<string> {
  const status = '-t 86400 -u SEEN_REPLY,ASSURED -p tcp --state ESTABLISHED'
  for (let index = 0; index < count; index += 1) {
    const peer = `198.19.${(index >> 8) & 255}.${index & 255}`
    const port = 1024 + (index >> 16)
    yield `-A ${status} -s ${peer} -d ${hostIp} -r ${hostIp} -q ${peer} --sport ${port} --dport 22 --reply-port-src 22 --reply-port-dst ${port}\n`
  }
}

async function fill(host: Namespace): Promise<void> {
  // It ends with an error when no more go in, and takes a pipe, which Node does not make.
  const input = [...sessions(limit! + 10)].join('')
  const load = ['-c', 'cat | conntrack -R -']
  await host.run('sh', load, { input, allowFailure: true, timeoutMs: 100_000 })
  assert.ok((await countSessions(host)) >= limit!)
}

async function countSessions(host: Namespace): Promise<number> {
  return Number((await host.run('conntrack', ['-C'])).stdout)
}

/** A host and its neighbour. */
async function createPair() {
  await using stack = new AsyncDisposableStack()
  const outside = stack.use(await createNamespace('outside'))
  const host = stack.use(await createNamespace('host'))
  await connect(
    { namespace: outside, device: 'eth0', addresses: [`${outsideIp}/24`] },
    { namespace: host, device: 'eth0', addresses: [`${hostIp}/24`] },
  )
  const near = stack.use(await startPeer(host))
  const far = stack.use(await startPeer(outside))
  const made = stack.move()
  return { host, near, far, [Symbol.asyncDispose]: () => made.disposeAsync() }
}

test('sessions that live go on, new ones fail closed, and the doctor says why', { skip, timeout }, async () => {
  await using pair = await createPair()
  const { host, near, far } = pair
  await using agent = await startAgent({ namespace: host, policy: acceptingPorts(open), awaitInForce: false })
  await agent.line(isInForce, { timeoutMs })
  await Promise.all([near.listenTcp(closed), far.listenTcp(open)])
  const session = await converse('tcp', { client: far, server: await listening(), address: hostIp, port: open })

  const tries = async (from: typeof near, address: string, port: number) => {
    try {
      await (await from.connectTcp(address, port, { timeoutMs: 500 })).close()
      return 'accepted'
    } catch (error) {
      return (error as Error).message
    }
  }
  // Left open: the kernel soon takes away a closed one where the table is full, and a new one would have its place.
  await near.connectTcp(outsideIp, open)

  await fill(host)

  assert.equal(await tries(far, hostIp, open), 'ETIMEDOUT', 'in')
  assert.equal(await tries(far, hostIp, closed), 'ETIMEDOUT', 'in, against the policy')
  assert.match(await tries(near, outsideIp, open), /^(ETIMEDOUT|EPERM)$/, 'out')
  assert.ok(await session.client.ask('still there', patienceMs), 'what was there goes on')

  const { stdout, exitCode } = await host.run(ringwallProgram, ['doctor', '--json'], { allowFailure: true, timeoutMs })
  const { findings } = JSON.parse(stdout) as { findings: readonly { code: string; severity: string }[] }
  assert.equal(findings.find(({ code }) => code === 'conntrack-full')?.severity, 'failure')
  assert.equal(exitCode, 2)

  // The agent goes on enforcing: what it changes takes no session.
  const from = agent.log.length
  await agent.writePolicy(acceptingPorts(open, closed))
  await agent.line(isInForce, { from, timeoutMs })
  await host.run('conntrack', ['-F'])
  await eventually(async () => assert.equal(await tries(far, hostIp, closed), 'accepted'))

  async function listening() {
    await near.listenTcp(open)
    return near
  }
})

test('what was open before the first policy cannot be entered, which is told', { skip, timeout }, async () => {
  await using pair = await createPair()
  const { host, near, far } = pair
  await far.listenTcp(open)
  await converse('tcp', { client: near, server: far, address: outsideIp, port: open })
  await fill(host)
  const result = await applyPolicy(host, acceptingPorts(open))
  assert.match(
    result.stderr,
    /^Cannot enter the 1 TCP sessions .+ \(conntrack .+: Operation failed: .+\): one whose far end/m,
  )
  assert.match(result.stdout, /^In force /m)
})
