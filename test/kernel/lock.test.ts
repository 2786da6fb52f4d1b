/** One writer a network namespace: between processes, and not beyond the namespace. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { describe, test } from 'node:test'
import { createNamespace, type Namespace } from '../../lab/netns.ts'
import { needsKernel } from '../support/requirements.ts'

const lockModule = new URL('../../agent/lock.ts', import.meta.url).href
/** Takes the lock, says so, and holds it until its input ends. */
const hold = `
const { acquireLock } = await import('${lockModule}')
const [role, policyPath] = process.argv.slice(1)
try {
  const lock = await acquireLock(role, { policyPath })
  console.log('held')
  process.stdin.resume().on('end', () => lock.release())
} catch (error) {
  console.log(error.message)
  process.exit(1)
}
`

/** A process in the namespace that tries to take the lock; its first line says how that went. */
async function startHolder(namespace: Namespace, role: string, policyPath = '/etc/ringwall/policy.yaml') {
  const child = namespace.spawn(process.execPath, ['--input-type=module', '-e', hold, role, policyPath])
  const [line] = await once(createInterface({ input: child.stdout! }), 'line')
  return { child, line: line as string }
}

describe('between processes', { skip: needsKernel }, () => {
  test('a second one is told who holds it, and gets it when the first has ended, however it ended', async () => {
    await using namespace = await createNamespace('lock')
    const agent = await startHolder(namespace, 'agent')
    assert.equal(agent.line, 'held')
    const refused = await startHolder(namespace, 'apply')
    assert.match(
      refused.line,
      /^Cannot apply: a Ringwall agent \(pid \d+, policy \/etc\/ringwall\/policy\.yaml\) holds this network namespace; edit its policy file, or stop it first$/,
    )
    agent.child.kill('SIGKILL')
    await once(agent.child, 'close')
    const next = await startHolder(namespace, 'apply')
    assert.equal(next.line, 'held')
    next.child.stdin!.end()
    await once(next.child, 'close')
  })

  test('of two namespaces, each has its own', async () => {
    await using one = await createNamespace('lock')
    await using other = await createNamespace('lock')
    for (const namespace of [one, other]) assert.equal((await startHolder(namespace, 'agent')).line, 'held')
    const ask = `const { askHolder } = await import('${lockModule}'); console.log((await askHolder('/holder'))?.body ?? 'nobody')`
    await using third = await createNamespace('lock')
    const answers = await Promise.all(
      [one, other, third].map(async namespace => {
        return (await namespace.run(process.execPath, ['--input-type=module', '-e', ask])).stdout.trim()
      }),
    )
    const [first, second, nobody] = answers
    assert.match(first!, /"role":"agent"/)
    assert.match(second!, /"role":"agent"/)
    assert.notEqual(first, second)
    assert.equal(nobody, 'nobody')
  })
})
