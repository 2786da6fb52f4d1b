/** Whatever somebody else does to Ringwall's table, a running agent puts right, and says who it was. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { createNamespace, type Namespace } from '../../lab/netns.ts'
import { isHealed, isInForce, type LogLine, startAgent, type TestAgent } from '../support/agent.ts'
import { listTable } from '../support/kernel-listing.ts'
import { needsOwnNft } from '../support/other-nft.ts'
import { acceptGroup, acceptPort, closedGroup } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const policy = {
  apiVersion: 'ringwall/v1',
  interfaces: [{ id: 'eni-1', device: 'd0', addresses: ['198.18.0.2'], securityGroupIds: ['sg-1'] }],
  securityGroups: [
    closedGroup('sg-1', [...acceptPort(80), acceptGroup('sg-app')]),
    { id: 'sg-app', members: ['198.18.0.9', '2001:db8::9'] },
  ],
}

/**
 * What a stranger does, in nft's words. `SET` stands for an interval set of ours, `HANDLE` for a rule of eni-1/ingress.
 */
const deeds: readonly { readonly name: string; readonly text: string }[] = [
  { name: 'the table is deleted', text: 'delete table inet ringwall' },
  { name: 'the whole ruleset is flushed', text: 'flush ruleset' },
  { name: 'the table is flushed of its rules', text: 'flush table inet ringwall' },
  { name: 'a chain is flushed', text: 'flush chain inet ringwall eni-1/ingress' },
  { name: 'a base chain is flushed', text: 'flush chain inet ringwall _host/prerouting' },
  { name: 'a rule is put first', text: 'insert rule inet ringwall eni-1/ingress accept' },
  { name: 'a rule is put last', text: 'add rule inet ringwall _host/drop accept' },
  { name: 'a rule is deleted', text: 'delete rule inet ringwall eni-1/ingress handle HANDLE' },
  { name: 'a rule is replaced', text: 'replace rule inet ringwall eni-1/ingress handle HANDLE accept' },
  { name: 'a member is added', text: 'add element inet ringwall sg-app/ip { 198.18.9.9 }' },
  { name: 'a member is taken away', text: 'delete element inet ringwall sg-app/ip { 198.18.0.9 }' },
  { name: 'a member set is emptied', text: 'flush set inet ringwall sg-app/ip6' },
  { name: 'an interval is added', text: 'add element inet ringwall SET { 203.0.113.0/24 . 22 }' },
  { name: 'an interval is taken away', text: 'delete element inet ringwall SET { 198.18.0.0/15 . 80 }' },
  { name: 'an interval set is emptied', text: 'flush set inet ringwall SET' },
  {
    name: 'a device is taken off the dispatch',
    text: 'delete element inet ringwall _host/prerouting/name { "d0" : goto eni-1/prerouting }',
  },
  {
    name: 'a device is sent elsewhere',
    text: 'delete element inet ringwall _host/prerouting/name { "d0" : goto eni-1/prerouting }\nadd element inet ringwall _host/prerouting/name { "d0" : accept }',
  },
  {
    name: 'a device is added to the dispatch',
    text: 'add element inet ringwall _host/postrouting/name { "d9" : drop }',
  },
  { name: 'a base chain gets another policy', text: 'add chain inet ringwall _host/prerouting { policy drop; }' },
  { name: 'a set comes', text: 'add set inet ringwall mine { type ipv4_addr; }' },
  { name: 'a chain comes', text: 'add chain inet ringwall mine\nadd rule inet ringwall mine accept' },
  {
    name: 'a base chain comes',
    text: 'add chain inet ringwall mine { type filter hook input priority 0; policy drop; }',
  },
  { name: 'a map comes', text: 'add map inet ringwall mine { type ipv4_addr : verdict; }' },
  { name: 'a counter comes', text: 'add counter inet ringwall mine' },
  {
    name: 'a quota and a limit come',
    text: 'add quota inet ringwall mine { over 1 mbytes; }\nadd limit inet ringwall yours { rate 1/second; }',
  },
  {
    name: 'objects that refer to each other come',
    text: 'add chain inet ringwall mine\nadd set inet ringwall yours { type ipv4_addr; }\nadd rule inet ringwall mine ip saddr @yours accept\ninsert rule inet ringwall eni-1/ingress jump mine',
  },
  {
    name: 'a set of ours becomes one of another type',
    text: 'flush chain inet ringwall eni-1/ingress\ndelete set inet ringwall sg-app/ip\nadd set inet ringwall sg-app/ip { type inet_service; }',
  },
  {
    name: 'a set of ours becomes a map',
    text: 'flush chain inet ringwall eni-1/ingress\ndelete set inet ringwall sg-app/ip\nadd map inet ringwall sg-app/ip { type ipv4_addr : verdict; }',
  },
]

let namespace: Namespace
let agent: TestAgent

before(async () => {
  if (needsKernel !== false) return
  namespace = await createNamespace('drift')
  await namespace.run('ip', ['link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'wire'])
  agent = await startAgent({ namespace, policy })
})

after(async () => {
  await agent?.[Symbol.asyncDispose]()
  await namespace?.[Symbol.asyncDispose]()
})

/**
 * The agent's line about a deed that it was told of, and has put right. A table is read back some time after each change:
 * what is done in that moment may be seen before it is heard, of nobody, and then be heard together with the next. The
 * deed is done again then.
 */
async function whenHeard(deed: () => Promise<unknown>, before: readonly string[] | null): Promise<LogLine> {
  for (let attempt = 1; ; attempt += 1) {
    const from = agent.log.length
    await deed()
    const healed = await agent.line(line => isHealed(line) || (isInForce(line) && line.cause === 'check'), { from })
    // A table made anew takes a second transaction, for its timeout object.
    await eventually(async () => assert.deepEqual(await listTable(namespace, { stamps: false }), before))
    const isHeardAlone = isHealed(healed) && /^\S+ \(pid \d+\)$/.test(healed.changedBy ?? '')
    if (isHeardAlone || attempt === 5) return healed
  }
}

for (const { name, text } of deeds) {
  test(`${name}: put right`, { skip: needsKernel }, async () => {
    const before = await listTable(namespace, { stamps: false })
    const { changedBy } = await whenHeard(async () => {
      const input = text.replaceAll('SET', setName(before!)).replaceAll('HANDLE', await ruleHandle())
      await namespace.run('nft', ['-f', '-'], { input: `${input}\n` })
    }, before)
    assert.match(changedBy!, /^nft \(pid \d+\)$/)
  })
}

/** Whoever changes rules by nft's library, as firewalld does, is a process of its own name. */
const libraryUser = `
import ctypes, sys
nft = ctypes.CDLL('libnftables.so.1')
nft.nft_ctx_new.restype = ctypes.c_void_p
sys.exit(nft.nft_run_cmd_from_buffer(ctypes.c_void_p(nft.nft_ctx_new(0)), sys.argv[1].encode()))
`

test('a program that changes rules by the library is named by its own name', {
  skip: needsKernel || needsOwnNft || needsLibrary(),
}, async () => {
  const before = await listTable(namespace, { stamps: false })
  const script = `import os; print(os.getpid(), flush=True)\n${libraryUser}`
  let pid = ''
  const { changedBy } = await whenHeard(async () => {
    const { stdout } = await namespace.run('python3', ['-c', script, 'add rule inet ringwall eni-1/ingress accept'])
    pid = stdout.trim()
  }, before)
  assert.match(changedBy!, new RegExp(`^python3?[.\\d]* \\(pid ${pid}\\)$`))
})

function needsLibrary(): string | false {
  const { status } = spawnSync('python3', ['-c', "import ctypes; ctypes.CDLL('libnftables.so.1')"])
  return status === 0 ? false : 'needs python3 and libnftables'
}

test('a table that is deleted again and again is back each time', { skip: needsKernel }, async () => {
  const before = await listTable(namespace, { stamps: false })
  let worstMs = 0
  for (let count = 1; count <= 6; count += 1) {
    await namespace.run('nft', ['delete', 'table', 'inet', 'ringwall'])
    const doneAtMs = performance.now()
    await eventually(async () => assert.deepEqual(await listTable(namespace, { stamps: false }), before))
    worstMs = Math.max(worstMs, performance.now() - doneAtMs)
  }
  console.log(`put right ${Math.round(worstMs)} ms after, at most`)
})

test('other tables that change all the time cause no change and little work', { skip: needsKernel }, async () => {
  await namespace.run('nft', ['-f', '-'], { input: 'add table ip other\nadd set ip other s { type ipv4_addr; }\n' })
  // What the agent says of the test before may come later than what it did: it has come when it says this.
  const fromFence = agent.log.length
  await agent.writePolicy({ ...policy, securityGroups: [closedGroup('sg-1', acceptPort(81))] })
  await agent.line(({ msg }) => msg === 'in force', { from: fromFence })
  const before = await listTable(namespace)
  const from = agent.log.length
  const ticksBefore = cpuTicks(agent.pid)
  const startedAtMs = performance.now()
  let changes = 0
  for (; performance.now() - startedAtMs < 3000; changes += 1) {
    const verb = changes % 2 === 0 ? 'add' : 'delete'
    await namespace.run('nft', [`${verb} element ip other s { 198.18.0.1 }`])
  }
  const seconds = (performance.now() - startedAtMs) / 1000
  // /proc counts in hundredths of a second, whatever the kernel's own ticks (proc_pid_stat(5), sysconf(3)).
  const cpuSeconds = (cpuTicks(agent.pid) - ticksBefore) / 100
  console.log(
    `${(changes / seconds).toFixed(0)} changes/s of others: the agent took ${((100 * cpuSeconds) / seconds).toFixed(0)} % of a core`,
  )
  assert.ok(cpuSeconds / seconds < 0.8)
  assert.deepEqual(
    agent.log.slice(from).filter(line => line.change !== undefined),
    [],
  )
  assert.deepEqual(await listTable(namespace), before)
})

function setName(lines: readonly string[]): string {
  return /^set (tcp\/ip\/[0-9a-f]+):/m.exec(lines.join('\n'))![1]!
}

/** Of the first rule that looks into an interval set. */
async function ruleHandle(): Promise<string> {
  const { stdout } = await namespace.run('nft', ['-a', 'list', 'chain', 'inet', 'ringwall', 'eni-1/ingress'])
  return /@tcp\/ip\/.* # handle (\d+)/.exec(stdout)![1]!
}

/** User and system time of a process and of its children that have ended. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
}
