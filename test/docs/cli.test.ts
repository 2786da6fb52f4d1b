/** docs/cli.md: its examples are run one after the other against a real daemon; its lists are those of the program. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { defaultUrl, findOwnDaemon } from '../../cli/client/own-daemon.ts'
import * as codes from '../../cli/command.ts'
import { listedCommands } from '../../cli/command-list.ts'
import { agentNoun } from '../../cli/commands/operate-agents.ts'
import { topLines, unpainted } from '../../cli/ddos/top-screen.ts'
import type { NounCommand } from '../../cli/operate/noun-command.ts'
import type { NounGroup } from '../../cli/operate/noun-group.ts'
import { makeAuthority } from '../support/certificates.ts'
import { runRingwall } from '../support/launcher.ts'
import { startOperator } from '../support/operator.ts'
import { exampleView } from '../support/standing.ts'

const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')
const operator = await startOperator()
after(() => operator[Symbol.asyncDispose]())

interface Example {
  readonly line: string
  readonly output: string
}

const examples: readonly Example[] = [...page.matchAll(/^```console\n(?<block>.*?)^```$/gms)].flatMap(({ groups }) =>
  groups!
    .block!.split(/^\$ ringwall /m)
    .slice(1)
    .map(text => {
      const [line = '', ...output] = text.split('\n')
      return { line, output: output.join('\n') }
    }),
)

/** Words of a shell: quotes hold spaces together. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!)
}

/** What is another one each time: made ids, secrets, times; and the order of rules, which is that of their ids. */
function withoutChance(text: string): string[] {
  return text
    .replace(/sgr-[a-z0-9]{17}/g, 'sgr-ID')
    .replace(/revision \d+/g, 'revision N')
    .replace(/rwe1\.\S+/g, 'rwe1.TOKEN')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d/g, 'TIME')
    .split('\n')
    .sort()
}

test('the page has examples', () => assert.ok(examples.length >= 15))

suite('examples', () => {
  for (const { line, output } of examples) {
    test(`ringwall ${line}`, async () => {
      const { stdout, stderr } = await operator.run(await prepared(line))
      assert.deepEqual(withoutChance(stdout + stderr), withoutChance(output))
    })
  }
})

/** Files that an example names are there. */
async function prepared(line: string): Promise<readonly string[]> {
  const file = async (name: string, text: string) => {
    const path = join(operator.folder, name)
    await writeFile(path, text)
    return path
  }
  const made = new Map([
    ['prod.token', () => file('prod.token', `rwt_token-a_${'x'.repeat(43)}\n`)],
    ['ca.pem', async () => file('ca.pem', (await makeAuthority()).certificate)],
  ])
  return Promise.all(words(line).map(async word => (await made.get(word)?.()) ?? word))
}

test('the screen on the page is drawn so', () => {
  const [, screen = ''] = /^```text\n(ringwall top .*?)^```$/ms.exec(page) ?? []
  assert.equal(screen, `${topLines(exampleView(), { columns: 80, rows: 26 }, unpainted).join('\n')}\n`)
})

test('every noun is on the page with its verbs, and no other', async () => {
  const [, section = ''] = page.split('\n## Commands of an operator\n')
  const rows = [...section.split('\n## ')[0]!.matchAll(/^\| `([a-z -]+)` \| ([^;|:]*)/gm)]
  const listed = new Map(
    rows.map(([, noun = '', verbs = '']) => [noun, [...verbs.matchAll(/`([a-z]+)`/g)].map(([, verb]) => verb)]),
  )
  const commands = await Promise.all([...listedCommands.values()].map(({ load }) => load()))
  const inner = commands.flatMap(({ command }) => (command as Partial<NounGroup>).nouns ?? []).map(({ noun }) => noun)
  const nouns = [
    ...commands.map(({ command }) => (command as Partial<NounCommand>).noun),
    ...inner,
    agentNoun.noun,
  ].filter(noun => noun !== undefined)
  for (const { name, verbs } of nouns) {
    const names = verbs.map(verb => verb.name).filter(each => each !== '')
    if (names.length > 0) assert.deepEqual(listed.get(name), names, name)
    else assert.ok(listed.has(name), name)
    listed.delete(name)
  }
  assert.deepEqual([...listed.keys()], ['explain'])
})

test('where commands look without any context is as the page says', async () => {
  const { url, firstTokenPath } = await findOwnDaemon({ RINGWALL_DAEMON_CONFIG: 'none' })
  assert.equal(url.href, new URL(defaultUrl).href)
  assert.ok(page.includes(`\`${defaultUrl}\``))
  assert.ok(page.includes(`\`${firstTokenPath}\``))
})

test('the services are those the daemon knows', async () => {
  const answer = await fetch(`${operator.url}/v1/security-group-templates`, {
    headers: { authorization: `Bearer ${operator.token}` },
  })
  const { services } = (await answer.json()) as { services: readonly { service: string }[] }
  const row = page.split('\n').find(line => line.includes('| its well-known port |')) ?? ''
  assert.deepEqual(
    [...row.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
    services.map(({ service }) => service),
  )
})

test('every exit code is on the page and in the help, and no other', async () => {
  const known = Object.entries(codes).flatMap(([name, value]) => (/^exit/.test(name) ? [value as number] : []))
  const [, section = ''] = page.split('\n## For programs\n')
  const listed = [...section.matchAll(/^\| (\d) \|/gm)].map(([, code]) => Number(code))
  assert.deepEqual(listed, [0, ...known].sort())
  const { stdout } = await runRingwall(['--help'])
  const [, sentence = ''] = stdout.split('Exit codes: ')
  assert.deepEqual(
    [...sentence.matchAll(/(?:^|; )(\d) /g)].map(([, code]) => Number(code)),
    listed,
  )
})
