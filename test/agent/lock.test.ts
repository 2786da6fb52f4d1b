import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { connect, createServer as createSocketServer } from 'node:net'
import { describe, test } from 'node:test'
import { acquireLock, askHolder, type LockOptions, type LockRole, openHolder } from '../../agent/lock.ts'

let serial = 0
/** Abstract names of this test alone: the machine's own Ringwall is left in peace. */
function ownName(): string {
  serial += 1
  return `ringwall-test-${process.pid}-${serial}`
}

interface Row {
  readonly holder: LockRole
  readonly options?: LockOptions
  readonly asker: LockRole
  readonly expected: RegExp
}

const rows: readonly Row[] = [
  {
    holder: 'agent',
    options: { policyPath: '/etc/ringwall/policy.yaml' },
    asker: 'apply',
    expected:
      /^Cannot apply: a Ringwall agent \(pid \d+, policy \/etc\/ringwall\/policy\.yaml\) holds this network namespace; edit its policy file, or stop it first$/,
  },
  {
    holder: 'agent',
    options: { daemonUrl: 'https://198.18.0.9:8444' },
    asker: 'apply',
    expected:
      /^Cannot apply: a Ringwall agent \(pid \d+, led by https:\/\/198\.18\.0\.9:8444\) holds this network namespace; change its policy at the daemon, or stop it first$/,
  },
  {
    holder: 'agent',
    asker: 'agent',
    expected: /^Cannot start the agent: a Ringwall agent \(pid \d+\) holds this network namespace; .*$/,
  },
  {
    holder: 'agent',
    options: { policyPath: '/etc/\u001b[2Jpolicy.yaml' },
    asker: 'apply',
    expected: /^Cannot apply: a Ringwall agent \(pid \d+\) holds this network namespace; .*$/,
  },
  {
    holder: 'apply',
    asker: 'flush',
    expected:
      /^Cannot flush: "ringwall apply" \(pid \d+\) is at work in this network namespace; try again when it has ended$/,
  },
]

describe('a lock that is held', () => {
  for (const { holder, options, asker, expected } of rows) {
    test(`by ${holder}, wanted by ${asker}`, async () => {
      const socketName = ownName()
      const lock = await acquireLock(holder, { ...options, socketName })
      await assert.rejects(acquireLock(asker, { socketName }), { name: 'LockHeldError', message: expected })
      await lock.release()
      const next = await acquireLock(asker, { socketName })
      await next.release()
    })
  }

  test('by something else: who answers nonsense is no Ringwall', async () => {
    const answers: readonly RequestListener[] = [
      (_, response) => response.end('hello'),
      (_, response) => response.end(JSON.stringify({ role: 'emperor', pid: 1 })),
      (_, response) => response.end(JSON.stringify({ role: 'toString', pid: 1 })),
      (_, response) => response.end(JSON.stringify({ role: 'agent', pid: 'rm -rf' })),
      (_, response) => response.writeHead(404).end(JSON.stringify({ role: 'agent', pid: 1 })),
      (_, response) => response.destroy(),
    ]
    for (const answer of answers) {
      const socketName = ownName()
      const server = createServer(answer).listen({ path: `\0${socketName}` })
      await once(server, 'listening')
      const refusal = new RegExp(`^Cannot apply: a process that does not answer holds the socket "@${socketName}"`)
      await assert.rejects(acquireLock('apply', { socketName }), {
        name: 'LockHeldError',
        message: refusal,
        holder: null,
      })
      server.close()
    }
  })

  test('is asked through its handler', async () => {
    const socketName = ownName()
    const handler: RequestListener = (request, response) => response.end(`you asked for ${request.url}`)
    const lock = await acquireLock('agent', { socketName, handler })
    assert.deepEqual(await askHolder('/show', socketName), { status: 200, body: 'you asked for /show' })
    assert.equal((await askHolder('/holder', socketName))?.status, 200)
    await lock.release()
    assert.equal(await askHolder('/show', socketName), null)
  })

  test('without a handler has nothing else to say', async () => {
    const socketName = ownName()
    const lock = await acquireLock('apply', { socketName })
    assert.equal((await askHolder('/show', socketName))?.status, 404)
    await lock.release()
  })

  test('is released though somebody is still connected', async () => {
    const socketName = ownName()
    const lock = await acquireLock('agent', { socketName })
    const socket = connect({ path: `\0${socketName}` })
    await once(socket, 'connect')
    await lock.release()
    await (await acquireLock('agent', { socketName })).release()
    socket.destroy()
  })

  test('two at once: one gets it', async () => {
    const socketName = ownName()
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => acquireLock('apply', { socketName })))
    const held = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    assert.equal(held.length, 1)
    await held[0]!.release()
  })
})

describe('an answer that goes on', () => {
  const lines: RequestListener = (_question, response) => {
    response.writeHead(200)
    for (const line of ['one\n', 'two\n']) response.write(line)
  }
  const open = async (handler: RequestListener) => {
    const socketName = ownName()
    const lock = await acquireLock('agent', { socketName, handler })
    const ending = new AbortController()
    return { lock, ending, answer: await openHolder('/live', ending.signal, socketName) }
  }
  /** What comes, until it ends by itself or by an error. */
  async function read(chunks: AsyncIterable<Buffer>, onText: (text: string) => void): Promise<boolean> {
    let text = ''
    try {
      for await (const chunk of chunks) {
        text += chunk
        onText(text)
      }
      return true
    } catch {
      return false
    }
  }

  test('it comes as it is said, until the asker has heard enough', async () => {
    const { lock, ending, answer } = await open(lines)
    assert.equal(answer?.status, 200)
    const isWhole = await read(answer.chunks, text => text === 'one\ntwo\n' && ending.abort())
    assert.equal(isWhole, false)
    await lock.release()
  })

  test('the holder goes away in the middle of it', async () => {
    const { lock, answer } = await open(lines)
    assert.equal(await read(answer!.chunks, text => text === 'one\ntwo\n' && void lock.release()), false)
  })

  test('nobody to ask', async () => {
    assert.equal(await openHolder('/live', new AbortController().signal, ownName()), null)
  })
})

test('a holder that never answers is given up on', async () => {
  const socketName = ownName()
  const silent = createSocketServer(() => {}).listen({ path: `\0${socketName}` })
  await once(silent, 'listening')
  await assert.rejects(acquireLock('apply', { socketName }), { name: 'LockHeldError', holder: null })
  silent.close()
})
