/** A real Prometheus with our rules, on a real agent; and what promtool says of the metrics of both processes. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { startPeer } from '../../lab/conversation.ts'
import { connect, createNamespace } from '../../lab/netns.ts'
import { startAgent } from '../support/agent.ts'
import { debianProgram } from '../support/debian-programs.ts'
import { startOperator } from '../support/operator.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const rulesPath = join(import.meta.dirname, '../../monitoring/prometheus/ringwall.rules.yml')
const promtool = debianProgram('prometheus', 'usr/bin/promtool')
const prometheus = debianProgram('prometheus', 'usr/bin/prometheus')

/** Thresholds and rates of links are in bits wherever people speak of them, and are compared by eye. */
const wanted = /^ringwall_agent_ddos_\w+_bits_per_second use base unit "bytes" instead of "bits"\n/gm

/** For what an agent does and Prometheus sees of it, on a busy machine. */
const longMs = 60_000

interface Alert {
  readonly state: 'pending' | 'firing'
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** @throws {Error} with what it finds fault with */
async function checkMetrics(text: string): Promise<void> {
  const [program = '', ...args] = promtool.command
  const child = execFile(program, [...args, 'check', 'metrics'])
  let said = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', chunk => (said += chunk))
  child.stdin!.end(text)
  await once(child, 'close')
  assert.equal(said.replace(wanted, ''), '')
}

test('promtool finds no fault with the metrics of the daemon', { skip: promtool.skip }, async () => {
  await using operator = await startOperator()
  const answer = await fetch(`${operator.url}/metrics`, { headers: { authorization: `Bearer ${operator.token}` } })
  const text = await answer.text()
  assert.match(text, /^ringwall_notifications_pending\{way="webhook"\} 0$/m)
  await checkMetrics(text)
})

describe('an agent', { skip: needsKernel || prometheus.skip }, () => {
  const policy = (order?: object) => ({
    apiVersion: 'ringwall/v1',
    instances: [{ id: 'i-1', ddosThreshold: { bps: 100, pps: 10_000 }, ...(order && { ddosOrder: order }) }],
    interfaces: [
      { id: 'eni-1', instanceId: 'i-1', device: 'eth0', addresses: ['198.18.0.2'], securityGroupIds: ['sg-1'] },
    ],
    securityGroups: [{ id: 'sg-1' }],
  })

  test('is watched: an operator’s black hole is an alert that names the instance, until it is lifted', async () => {
    await using stack = new AsyncDisposableStack()
    const host = stack.use(await createNamespace('watched'))
    const neighbour = stack.use(await createNamespace('neighbour'))
    const end = (namespace: typeof host, address: string) => ({ namespace, device: 'eth0', addresses: [address] })
    await connect(end(host, '198.18.0.2/24'), end(neighbour, '198.18.0.1/24'))
    const flags = ['--metrics-address', '127.0.0.1:9469']
    const agent = stack.use(await startAgent({ namespace: host, policy: policy(), flags }))
    const peer = stack.use(await startPeer(host))
    const get = async (port: number, path: string) => (await peer.httpGet('127.0.0.1', port, path)).body
    await eventually(async () =>
      assert.match(await get(9469, '/metrics'), /^ringwall_agent_ddos_phase\{instance_id="i-1",phase="normal"\} 1$/m),
    )
    await checkMetrics(await get(9469, '/metrics'))

    const folder = await mkdtemp(join(tmpdir(), 'ringwall-prometheus-'))
    stack.defer(() => rm(folder, { recursive: true }))
    await writeFile(
      join(folder, 'prometheus.yml'),
      JSON.stringify({
        global: { scrape_interval: '1s', evaluation_interval: '1s' },
        rule_files: [rulesPath],
        scrape_configs: [{ job_name: 'ringwall-agent', static_configs: [{ targets: ['127.0.0.1:9469'] }] }],
      }),
    )
    const [program = '', ...args] = prometheus.command
    const child = host.spawn(
      program,
      [
        ...args,
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        '--web.listen-address=127.0.0.1:9090',
        '--log.level=error',
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    )
    const ended = once(child, 'close')
    stack.defer(async () => {
      child.kill('SIGKILL')
      await ended
    })
    /** Those that fire: what may yet become one, as an agent that is late by a second, is this machine's affair. */
    const alerts = async () => {
      const { data } = JSON.parse(await get(9090, '/api/v1/alerts')) as { data: { alerts: readonly Alert[] } }
      const firing = data.alerts.filter(({ state }) => state === 'firing')
      return firing.map(({ labels, annotations }) => `${labels.alertname}: ${annotations.summary}`)
    }
    const until = (expected: readonly string[]) =>
      eventually(async () => assert.deepEqual(await alerts(), expected), longMs)

    const up = encodeURIComponent('up{job="ringwall-agent"} == 1')
    await eventually(async () => assert.match(await get(9090, `/api/v1/query?query=${up}`), /"1"/), longMs)
    await until([])
    await agent.writePolicy(policy({ id: 'order-1', action: 'black-hole', holdSeconds: 600 }))
    await until(['RingwallBlackHole: i-1 is black-holed'])
    await agent.writePolicy(policy({ id: 'order-2', action: 'lift' }))
    await eventually(async () => assert.doesNotMatch(String(await alerts()), /BlackHole/), longMs)
  })
})
