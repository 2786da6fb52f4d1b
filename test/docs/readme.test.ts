/** What the front page shows is so: its policy is sound, its commands and the files it points to exist. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { listedCommands } from '../../cli/command-list.ts'
import { runInProcess } from '../support/command-line.ts'
import { startOperator } from '../support/operator.ts'

const projectFolder = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(projectFolder, 'README.md'), 'utf8')
const policy = /^```yaml\n(?<text>.*?)^```$/ms.exec(page)!.groups!.text!
const commandLines = [...page.replaceAll('\\\n', ' ').matchAll(/^(?:sudo )?\.\/ringwall (?<line>[^#\n]+)/gm)].map(
  ({ groups }) => groups!.line!.trim().split(/ +/),
)

/** Commands that change nothing and need no privilege: they are run as they stand. */
const harmless = ['compile', 'explain', 'analyze']
/** Those that speak to a daemon are run against one, in the order of the page; `…` stands for what a reader fills in. */
const operated = commandLines.filter(
  ([name = '', word = '', ...args]) =>
    !args.some(arg => arg.includes('…')) && (['sg', 'rule'].includes(name) || (name === 'agent' && word === 'invite')),
)

for (const [name = '', ...args] of commandLines) {
  test(`ringwall ${name} ${args.join(' ')}`, async () => {
    const listed = listedCommands.get(name)
    assert.ok(listed !== undefined, 'is a command')
    const { command } = await listed.load()
    const help = (await command.helpFor?.(args)) ?? command.usage
    for (const flag of args.filter(arg => arg.startsWith('--'))) assert.ok(help.includes(flag), flag)
    if (!harmless.includes(name)) return
    const { exitCode, stderr } = await runInProcess(
      command,
      args.map(arg => (arg === 'policy.yaml' ? '-' : arg)),
      policy,
    )
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' })
  })
}

test('the commands to a daemon do what the page says, one after the other', async () => {
  await using operator = await startOperator()
  assert.equal(operated.length, 4)
  for (const line of operated) {
    const { exitCode, stderr } = await operator.run(line)
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' }, line.join(' '))
  }
})

test('there are commands of every kind', () => {
  const names = commandLines.map(([name]) => name!)
  const kinds = ['agent', 'analyze', 'apply', 'compile', 'daemon', 'eni', 'explain', 'flush', 'rule', 'sg']
  assert.deepEqual([...new Set(names)].sort(), kinds)
})

for (const file of ['README.md', 'docs/README.md']) {
  test(`${file} points to files that exist`, () => {
    const text = readFileSync(join(projectFolder, file), 'utf8')
    const targets = [...text.matchAll(/\]\((?!https:)([^)#]+)/g)].map(([, target]) => target!)
    assert.ok(targets.length > 3)
    for (const target of targets) assert.ok(existsSync(join(projectFolder, file, '..', target)), target)
  })
}
