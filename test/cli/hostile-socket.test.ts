/**
 * Any local user may take the agent's socket while no agent runs. Whoever is asked there instead has no power over the
 * terminal of the administrator who asks, nor over the memory of the host.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'

const run = promisify(execFile)
const hostile = '\u001b[2J\u001b]0;owned\u0007'

const eni = {
  eniId: hostile,
  since: hostile,
  counts: [{ direction: hostile, cause: hostile, packets: 1 }],
  flows: [],
  flowsLeftOut: 0,
  liveSessions: null,
}
const guard = { trial: { cuts: [hostile], needsPerson: true, kind: hostile }, panic: null, problems: [hostile] }

/** Answers everything in one way, has a command ask, and prints what that printed. */
const program = `
import { createServer } from 'node:http'
import { spawnSync, spawn } from 'node:child_process'
const [command, answer, endless] = JSON.parse(process.argv[1])
const server = createServer((_, response) => {
  response.statusCode = answer.status
  if (!endless) return response.end(JSON.stringify(answer.body))
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  const more = () => { while (response.write(chunk)); }
  response.on('drain', more)
  more()
})
server.listen('\\0ringwall', () => {
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  for (const output of [child.stdout, child.stderr]) output.on('data', text => { printed += text })
  child.on('close', code => {
    console.log(JSON.stringify({ code, printed }))
    process.exit()
  })
})
`

async function askOf(args: readonly string[], answer: object, { endless = false } = {}) {
  const words = JSON.stringify([[ringwallProgram, ...args], answer, endless])
  const { stdout } = await run('unshare', ['--net', process.execPath, '--input-type=module', '-e', program, words])
  return JSON.parse(stdout) as { readonly code: number; readonly printed: string }
}

const rows: readonly (readonly [args: readonly string[], answer: object])[] = [
  [['show'], { status: 503, body: { error: hostile } }],
  [['show'], { status: 500, body: hostile }],
  [['logs'], { status: 503, body: { error: hostile } }],
  [['logs', '--summary'], { status: 200, body: { enis: [eni] } }],
  [['confirm'], { status: 200, body: guard }],
  [
    ['doctor'],
    { status: 200, body: { role: 'agent', pid: 1, policyPath: hostile, daemonUrl: hostile, stateDir: hostile } },
  ],
]
for (const [args, answer] of rows) {
  test(`ringwall ${args.join(' ')} prints ${JSON.stringify(answer).slice(0, 30)}… without what a terminal would do`, {
    skip: needsKernel,
  }, async () => {
    const { printed } = await askOf(args, answer)
    assert.notEqual(printed, '')
    assert.doesNotMatch(printed, /[^\P{Cc}\n]/u)
  })
}

test('an answer without end is given up', { skip: needsKernel }, async () => {
  const { code, printed } = await askOf(['show'], { status: 200 }, { endless: true })
  assert.equal(code, 1)
  assert.match(printed, /^ringwall: Cannot show: no agent runs in this network namespace/)
})
