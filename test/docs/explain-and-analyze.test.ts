import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { command as analyze } from '../../cli/commands/analyze.ts'
import { command as explain } from '../../cli/commands/explain.ts'
import { runInProcess } from '../support/command-line.ts'

const page = readFileSync(new URL('../../docs/explain-and-analyze.md', import.meta.url), 'utf8')
const policy = /^```yaml policy.yaml\n(?<text>.*?)^```$/ms.exec(page)!.groups!.text!
const examples = [...page.matchAll(/^```console\n\$ ringwall (?<line>[^\n]+)\n(?<output>.*?)^```$/gms)]

test('the page has examples', () => assert.equal(examples.length, 4))

for (const { groups } of examples) {
  const { line, output } = groups as { line: string; output: string }
  test(`example: ${line}`, async () => {
    const [name, ...args] = line.split(' ')
    const command = [explain, analyze].find(known => known.name === name)!
    const result = await runInProcess(
      command,
      args.map(arg => arg.replace(/^policy\.yaml$/, '-')),
      policy,
    )
    assert.deepEqual(result, { exitCode: 0, stdout: output, stderr: '' })
  })
}
